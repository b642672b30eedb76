// SPDX-License-Identifier: Apache-2.0
#include "actors/config/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>

namespace troupe {

namespace {

std::optional<in_addr> as_ipv4(const std::string& host) {
  in_addr result{};
  return inet_pton(AF_INET, host.c_str(), &result) == 1 ? std::optional{result} : std::nullopt;
}

std::optional<in6_addr> as_ipv6(const std::string& host) {
  in6_addr result{};
  return inet_pton(AF_INET6, host.c_str(), &result) == 1 ? std::optional{result} : std::nullopt;
}

} // namespace

std::optional<listen_address> parse_listen_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || text.find('\0') != std::string_view::npos)
    return std::nullopt;
  listen_address result;
  const std::string_view port = text.substr(colon + 1);
  const char* const port_end = port.data() + port.size();
  const auto [end, code] = std::from_chars(port.data(), port_end, result.port);
  if (code != std::errc{} || end != port_end || port.empty())
    return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed)
    host = host.substr(1, host.size() - 2);
  result.host = host == "localhost" && !bracketed ? "127.0.0.1" : std::string{host};
  const bool valid = bracketed ? as_ipv6(result.host).has_value() : as_ipv4(result.host).has_value();
  return valid ? std::optional{result} : std::nullopt;
}

std::string to_string(const listen_address& x) {
  const bool v6 = x.host.find(':') != std::string::npos;
  return (v6 ? "[" + x.host + "]" : x.host) + ":" + std::to_string(x.port);
}

bool is_loopback(const listen_address& x) {
  if (const auto v4 = as_ipv4(x.host))
    return (ntohl(v4->s_addr) >> 24) == 127;
  const auto v6 = as_ipv6(x.host);
  return v6 && IN6_IS_ADDR_LOOPBACK(&*v6);
}

} // namespace troupe
