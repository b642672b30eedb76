// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe {

/// A numeric address and port to listen at.
struct listen_address {
  /// IPv4 or IPv6 in numbers, without brackets.
  std::string host;
  /// 0 lets the system choose.
  std::uint16_t port = 0;

  friend bool operator==(const listen_address&, const listen_address&) = default;
};

/// Reads "127.0.0.1:8000", "[::1]:8000" or "localhost:8000" (which becomes 127.0.0.1). Names are not
/// looked up: what a node listens at must not depend on a resolver.
std::optional<listen_address> parse_listen_address(std::string_view);

/// "127.0.0.1:8000" or "[::1]:8000".
std::string to_string(const listen_address&);

/// Whether only processes of this machine can reach it: 127.0.0.0/8 or ::1.
bool is_loopback(const listen_address&);

} // namespace troupe
