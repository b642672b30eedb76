// SPDX-License-Identifier: Apache-2.0
#include "transport/shared_memory/description.hpp"

#include <sys/random.h>

#include <charconv>

namespace troupe::transport {

namespace {

constexpr std::string_view prefix = "shm:";
constexpr std::string_view hex_digits = "0123456789abcdef";

bool token_from_hex(std::string_view text, region_token& token) {
  if (text.size() != 2 * token.size())
    return false;
  for (std::size_t i = 0; i < token.size(); ++i) {
    auto high = hex_digits.find(text[2 * i]);
    auto low = hex_digits.find(text[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos)
      return false;
    token[i] = static_cast<std::byte>(high << 4 | low);
  }
  return true;
}

} // namespace

expected<region_token, error> random_token() {
  region_token result;
  if (::getrandom(result.data(), result.size(), 0) != static_cast<ssize_t>(result.size()))
    return fail(errc::resource, "the system gave no random bytes");
  return result;
}

std::string to_text(const shared_description& d) {
  auto text = std::string{prefix} + std::to_string(d.owner.value) + ":" + std::to_string(d.region.value) + ":";
  for (auto b : d.token) {
    text += hex_digits[std::to_integer<unsigned>(b) >> 4];
    text += hex_digits[std::to_integer<unsigned>(b) & 15];
  }
  return text;
}

expected<shared_description, error> shared_description_from_text(std::string_view text) {
  auto refused = fail(errc::unknown_region, "not a description of a region in shared memory");
  if (!text.starts_with(prefix))
    return refused;
  auto at = text.data() + prefix.size();
  auto end = text.data() + text.size();
  auto number = [&](auto& value) {
    auto [next, code] = std::from_chars(at, end, value);
    at = next;
    return code == std::errc{};
  };
  auto colon = [&] { return at != end && *at++ == ':'; };
  shared_description d;
  if (!number(d.owner.value) || !colon() || !number(d.region.value) || !colon()
      || !token_from_hex({at, static_cast<std::size_t>(end - at)}, d.token))
    return refused;
  return d;
}

} // namespace troupe::transport
