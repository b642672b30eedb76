// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "transport/tcp/frame.hpp"
#include "transport/tcp/socket.hpp"

namespace troupe::transport {

/// What a TCP back end writes into the opaque text of a region.
struct tcp_description {
  peer_id owner;
  tcp_address where;
  region_id region;
  region_token token{};
};

/// "tcp:<owner>:<host>:<port>:<region>:<token>", decimal, the token in hexadecimal.
std::string to_text(const tcp_description&);
/// errc::unknown_region for anything that to_text did not write for a listener on a loopback address.
expected<tcp_description, error> tcp_description_from_text(std::string_view);

} // namespace troupe::transport
