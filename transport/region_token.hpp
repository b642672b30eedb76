// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "transport/errc.hpp"

namespace troupe::transport {

/// What a reader of a description shows to the owner of the region: random, another for each region and reader.
using region_token = std::array<std::byte, 16>;

/// errc::resource if the system gives no random bytes.
expected<region_token, error> random_token();

/// 32 small hexadecimal digits.
std::string to_hex(const region_token&);
/// False for anything that to_hex did not write.
bool from_hex(std::string_view, region_token&);

} // namespace troupe::transport
