// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <caf/byte.hpp>
#include <caf/type_id.hpp>

namespace troupe::test {

/// How reading a message's bytes ended.
enum class reading { refused, bytes_left, another_value, same_value };

/// One value of a message type, with what a test asks of it. The type is hidden in the functions.
struct message_sample {
  caf::type_id_t type{};
  /// The type's name; for another value of the same type than the first "/" and what is special in it.
  std::string name;
  std::function<std::vector<caf::byte>()> write;
  std::function<reading(std::span<const caf::byte>)> read;
  /// What is not filled in a sample that should be, e.g. ".2 has its default value".
  std::function<std::vector<std::string>()> find_faults;
};

/// At least one sample of each type of the block that crosses the wire, in order of their numbers. The first of
/// a type has every field filled. Actor handles are null: a live one's bytes hold the process's id, and reading
/// it back needs the middleman. What a handle is on the wire is CAF's business, which its version settles.
std::vector<message_sample> message_samples();

} // namespace troupe::test
