// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "transport/transport.hpp"

namespace troupe::transport {

/// What a memory back end writes into the opaque text of a region.
struct description {
  peer_id owner;
  region_id region;
  peer_id reader;
  /// Another each time that the owner lets the reader in anew.
  std::uint64_t permission = 0;
};

/// "memory:<owner>:<region>:<reader>:<permission>", decimal.
std::string to_text(const description&);
/// errc::unknown_region for anything that to_text did not write.
expected<description, error> description_from_text(std::string_view);

} // namespace troupe::transport
