// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/chat/url.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace troupe::chat {

namespace {

// Also keeps spaces and line ends out of the Host header.
bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

bool is_v6_char(char c) { return is_host_char(c) || c == ':' || c == '%'; }

bool is_port(std::string_view text) {
  std::uint16_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  return code == std::errc{} && end == text.data() + text.size() && number != 0;
}

} // namespace

std::optional<url> parse_url(std::string_view text) {
  constexpr std::string_view scheme = "http://";
  if (!text.starts_with(scheme))
    return std::nullopt;
  text.remove_prefix(scheme.size());
  if (text.ends_with('/'))
    text.remove_suffix(1);
  url result{"", "80"};
  std::string_view rest;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos)
      return std::nullopt;
    result.host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
  } else {
    const auto colon = std::min(text.find(':'), text.size());
    result.host = text.substr(0, colon);
    rest = text.substr(colon);
  }
  if (rest.starts_with(':'))
    result.port = rest.substr(1);
  else if (!rest.empty())
    return std::nullopt;
  const bool valid_host =
    !result.host.empty() && result.host.size() < 256
    && std::all_of(result.host.begin(), result.host.end(), text.starts_with('[') ? is_v6_char : is_host_char);
  return valid_host && is_port(result.port) ? std::optional{result} : std::nullopt;
}

std::string authority(const url& x) {
  const bool v6 = x.host.find(':') != std::string::npos;
  return (v6 ? "[" + x.host + "]" : x.host) + ":" + x.port;
}

} // namespace troupe::chat
