// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace troupe::chat {

/// A server without encryption: a node on this machine, or the near end of a tunnel.
struct url {
  /// Name or address, without brackets.
  std::string host;
  std::string port;

  friend bool operator==(const url&, const url&) = default;
};

/// Reads "http://host:port"; the port is 80 if absent, a final slash is ignored. Any other scheme, path
/// or part is refused.
std::optional<url> parse_url(std::string_view);

/// "host:port", for the Host header and messages.
std::string authority(const url&);

} // namespace troupe::chat
