// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "transport/region_token.hpp"
#include "transport/transport.hpp"

namespace troupe::transport {

/// What a shared-memory back end writes into the opaque text of a region.
struct shared_description {
  peer_id owner;
  region_id region;
  region_token token{};
};

/// "shm:<owner>:<region>:<token>", the numbers decimal, the token in 32 small hexadecimal digits.
std::string to_text(const shared_description&);
/// errc::unknown_region for anything that to_text did not write.
expected<shared_description, error> shared_description_from_text(std::string_view);

} // namespace troupe::transport
