// SPDX-License-Identifier: Apache-2.0
#include "text/unicode.hpp"

#include <array>
#include <utility>

#include <utf8proc.h>

namespace troupe::text {

namespace {

/// What may follow a lead byte: Unicode 15, table 3-7. Only the second byte has a range of its own.
struct lead_rule {
  std::uint8_t bytes;
  std::uint8_t second_min;
  std::uint8_t second_max;
};

constexpr lead_rule rule_of(std::uint8_t lead) {
  if (lead < 0x80)
    return {1, 0, 0};
  if (lead < 0xC2)
    return {0, 0, 0};
  if (lead < 0xE0)
    return {2, 0x80, 0xBF};
  if (lead < 0xF0)
    return {3, static_cast<std::uint8_t>(lead == 0xE0 ? 0xA0 : 0x80),
            static_cast<std::uint8_t>(lead == 0xED ? 0x9F : 0xBF)};
  if (lead < 0xF5)
    return {4, static_cast<std::uint8_t>(lead == 0xF0 ? 0x90 : 0x80),
            static_cast<std::uint8_t>(lead == 0xF4 ? 0x8F : 0xBF)};
  return {0, 0, 0};
}

constexpr auto lead_rules = [] {
  std::array<lead_rule, 256> rules{};
  for (std::size_t i = 0; i < rules.size(); ++i)
    rules[i] = rule_of(static_cast<std::uint8_t>(i));
  return rules;
}();

} // namespace

utf8_char read_any_char(std::string_view text, std::size_t at) {
  auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[at + i]); };
  const auto lead = byte(0);
  if (lead < 0x80)
    return {lead, 1, utf8_state::valid};
  const auto [bytes, second_min, second_max] = lead_rules[lead];
  if (bytes == 0)
    return {replacement_character, 1, utf8_state::invalid};
  char32_t code_point = lead & (0x7Fu >> bytes);
  for (std::uint8_t i = 1; i < bytes; ++i) {
    if (at + i >= text.size())
      return {replacement_character, i, utf8_state::incomplete};
    const auto b = byte(i);
    if (b < (i == 1 ? second_min : 0x80) || b > (i == 1 ? second_max : 0xBF))
      return {replacement_character, i, utf8_state::invalid};
    code_point = (code_point << 6) | (b & 0x3Fu);
  }
  return {code_point, bytes, utf8_state::valid};
}

std::string to_utf8(char32_t code_point) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto n = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), bytes.data());
  return {reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(n)};
}

std::string utf8_repairer::push(std::string_view bytes) {
  pending_.append(bytes);
  std::string text;
  std::size_t at = 0;
  while (at < pending_.size()) {
    const auto c = read_char(pending_, at);
    if (c.state == utf8_state::incomplete)
      break;
    if (c.state == utf8_state::valid)
      text.append(pending_, at, c.bytes);
    else
      text += to_utf8(replacement_character);
    at += c.bytes;
  }
  pending_.erase(0, at);
  return text;
}

std::string utf8_repairer::finish() {
  return std::exchange(pending_, {}).empty() ? std::string{} : to_utf8(replacement_character);
}

} // namespace troupe::text
