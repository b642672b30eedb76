// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::text {

enum class utf8_state : std::uint8_t {
  valid,
  /// No continuation of these bytes is well formed.
  invalid,
  /// The text ends inside a sequence that is well formed so far.
  incomplete,
};

/// One step through a text. Where the bytes are not well formed, `bytes` is the length of the maximal
/// subpart (Unicode 15, section 3.9, "U+FFFD substitution of maximal subparts") and code_point U+FFFD.
struct utf8_char {
  char32_t code_point;
  std::uint8_t bytes;
  utf8_state state;
};

inline constexpr char32_t replacement_character = 0xFFFD;

/// read_char for every text.
utf8_char read_any_char(std::string_view text, std::size_t at);

/// REQUIRES: at < text.size()
inline utf8_char read_char(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[at + i]); };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const auto lead = byte(0);
  const auto left = text.size() - at;
  // Most of what is not ASCII has two or three bytes.
  if (lead >= 0xC2 && lead < 0xE0 && left > 1 && follows(1))
    return {(lead & 0x1Fu) << 6 | (byte(1) & 0x3Fu), 2, utf8_state::valid};
  if (lead > 0xE0 && lead < 0xF0 && lead != 0xED && left > 2 && follows(1) && follows(2))
    return {(lead & 0x0Fu) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu), 3, utf8_state::valid};
  return read_any_char(text, at);
}

/// code_point as UTF-8. REQUIRES: a Unicode scalar value.
std::string to_utf8(char32_t code_point);

/// The White_Space property, which changes with no version of Unicode.
constexpr bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A)
         || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/// Turns a stream of bytes into well-formed UTF-8: an unfinished sequence is held back until it is
/// complete, an ill-formed one becomes U+FFFD as in Python's errors="replace". The output does not
/// depend on how the bytes were cut.
class utf8_repairer {
public:
  /// The text that has become certain.
  std::string push(std::string_view bytes);
  /// What is left: U+FFFD if a sequence was unfinished. The repairer is as new afterwards.
  std::string finish();

private:
  /// At most three bytes: the beginning of a sequence.
  std::string pending_;
};

} // namespace troupe::text
