// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/byte_alphabet.hpp"

#include <array>

#include "text/unicode.hpp"

namespace troupe::text {

namespace {

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr auto alphabet = [] {
  std::array<char32_t, 256> chars{};
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte)
    chars[byte] = stands_for_itself(byte) ? byte : next++;
  return chars;
}();

/// Code point of the alphabet to byte, -1 for others. The highest code point is U+0143.
constexpr auto alphabet_bytes = [] {
  std::array<std::int16_t, 0x144> bytes{};
  for (auto& b : bytes)
    b = -1;
  for (unsigned byte = 0; byte < 256; ++byte)
    bytes[alphabet[byte]] = static_cast<std::int16_t>(byte);
  return bytes;
}();

} // namespace

std::string_view byte_alphabet_char(std::uint8_t byte) {
  static const auto chars = [] {
    std::array<std::string, 256> result;
    for (std::size_t i = 0; i < result.size(); ++i)
      result[i] = to_utf8(alphabet[i]);
    return result;
  }();
  return chars[byte];
}

std::string encode_byte_alphabet(std::string_view text) {
  std::string result;
  result.reserve(text.size() + text.size() / 4);
  for (const char c : text)
    result += byte_alphabet_char(static_cast<std::uint8_t>(c));
  return result;
}

std::string decode_byte_alphabet(std::string_view token) {
  std::string bytes;
  for (std::size_t at = 0; at < token.size();) {
    const auto c = read_char(token, at);
    if (c.state != utf8_state::valid || c.code_point >= alphabet_bytes.size() || alphabet_bytes[c.code_point] < 0)
      return std::string{token};
    bytes += static_cast<char>(alphabet_bytes[c.code_point]);
    at += c.bytes;
  }
  return bytes;
}

} // namespace troupe::text
