// SPDX-License-Identifier: Apache-2.0
#include "transport/region_token.hpp"

#include <sys/random.h>

namespace troupe::transport {

namespace {

constexpr std::string_view digits = "0123456789abcdef";

} // namespace

expected<region_token, error> random_token() {
  region_token result;
  if (::getrandom(result.data(), result.size(), 0) != static_cast<ssize_t>(result.size()))
    return fail(errc::resource, "the system gave no random bytes");
  return result;
}

std::string to_hex(const region_token& token) {
  std::string result;
  for (auto b : token) {
    result += digits[std::to_integer<unsigned>(b) >> 4];
    result += digits[std::to_integer<unsigned>(b) & 15];
  }
  return result;
}

bool from_hex(std::string_view text, region_token& token) {
  if (text.size() != 2 * token.size())
    return false;
  for (std::size_t i = 0; i < token.size(); ++i) {
    auto high = digits.find(text[2 * i]);
    auto low = digits.find(text[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos)
      return false;
    token[i] = static_cast<std::byte>(high << 4 | low);
  }
  return true;
}

} // namespace troupe::transport
