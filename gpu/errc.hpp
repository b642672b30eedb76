// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "messages/expected.hpp"

namespace troupe::gpu {

/// Why a model could not be loaded or a step could not run.
enum class errc : std::uint8_t {
  /// No error.
  none = 0,
  /// The file is shorter than what its header describes, or a length, offset or count in it is impossible.
  malformed_file,
  /// The file is well formed, but its architecture, tensor type or version is not supported.
  unsupported,
  /// The file lacks a tensor or metadata key that the architecture needs, or its shape is wrong.
  missing,
  /// The operating system refused memory, a file or a thread.
  resource,
  /// More steps are in flight than the executor allows; submit again after a completion.
  full = 5,
  /// A step names a slot, block or token that does not exist, or is larger than the executor's limits.
  invalid_step,
  /// The device is gone; every step in flight completes with this.
  device_lost,
};

std::string to_string(errc);
std::string_view describe(errc);

using error = failure<errc>;

inline unexpected<error> fail(errc code, std::string context) { return {error{code, std::move(context)}}; }

} // namespace troupe::gpu
