// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::text::jinja {

/// Strings are UTF-8 and counted in code points, as Python counts them. A byte that belongs to no valid
/// sequence counts as one code point and is passed through unchanged.
struct code_point {
  char32_t value = 0;
  /// Bytes it takes, at least 1.
  std::uint32_t size = 1;
  /// False for a stray byte.
  bool valid = true;
};

/// REQUIRES: at < text.size()
code_point decode(std::string_view text, std::size_t at);
/// The last code point of text. REQUIRES: !text.empty()
code_point decode_last(std::string_view text);
std::string encode(char32_t);
std::size_t count_code_points(std::string_view);
/// Byte offset of the n-th code point, text.size() if there are fewer.
std::size_t offset_of(std::string_view text, std::size_t n);

/// Python's str.isspace() of one character.
bool is_space(char32_t);
/// What Python's repr() leaves unescaped.
bool is_printable(char32_t);
bool is_alpha(char32_t);
bool is_decimal(char32_t);
/// Python's str.isdigit() and str.isnumeric() of one character.
bool is_digit(char32_t);
bool is_numeric(char32_t);
bool is_upper(char32_t);
bool is_lower(char32_t);
/// A letter that has an upper and a lower form.
bool is_cased(char32_t);

/// The end of what str.strip() would remove on the left, and the start of it on the right.
std::string_view strip_left(std::string_view);
std::string_view strip_right(std::string_view);

enum class letter_case : std::uint8_t { upper, lower, title, fold };
/// Python's str.upper(), str.lower(), str.casefold(); title maps every character to its title form.
std::string to_case(std::string_view, letter_case);

} // namespace troupe::text::jinja
