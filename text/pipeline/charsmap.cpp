// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/charsmap.hpp"

#include <utf8proc.h>

#include "text/unicode.hpp"

namespace troupe::text {

namespace {

std::uint32_t little_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;)
    value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  return value;
}

// A unit of a Darts double array.
bool has_leaf(std::uint32_t unit) { return (unit >> 8 & 1) == 1; }
std::uint32_t value_of(std::uint32_t unit) { return unit & 0x7FFF'FFFF; }
std::uint32_t label_of(std::uint32_t unit) { return unit & 0x8000'00FF; }
std::uint32_t offset_of(std::uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }

} // namespace

expected<charsmap, std::string> charsmap::make(std::string_view bytes) {
  if (bytes.size() < 4)
    return unexpected{std::string{"a table of replacements without a length"}};
  const auto array_bytes = little_endian(bytes, 0);
  if (array_bytes % 4 != 0 || array_bytes == 0 || array_bytes > bytes.size() - 4)
    return unexpected{std::string{"a table of replacements whose length is wrong"}};
  charsmap result;
  result.units_.reserve(array_bytes / 4);
  for (std::size_t at = 4; at < 4 + std::size_t{array_bytes}; at += 4)
    result.units_.push_back(little_endian(bytes, at));
  result.strings_ = bytes.substr(4 + std::size_t{array_bytes});
  return result;
}

std::optional<std::string_view> charsmap::find(std::string_view chunk) const {
  std::size_t node = offset_of(units_[0]);
  for (const char c : chunk) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte == 0)
      return std::nullopt;
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte)
      return std::nullopt;
    const auto unit = units_[node];
    node ^= offset_of(unit);
    if (has_leaf(unit)) {
      if (node >= units_.size() || value_of(units_[node]) > strings_.size())
        return std::nullopt;
      const auto begin = value_of(units_[node]);
      const auto end = strings_.find('\0', begin);
      return std::string_view{strings_}.substr(begin, end == std::string::npos ? end : end - begin);
    }
  }
  return std::nullopt;
}

void charsmap::append(std::string& result, std::string_view grapheme, std::size_t bytes_max) const {
  if (grapheme.size() < 6)
    if (const auto whole = find(grapheme)) {
      result += *whole;
      return;
    }
  for (std::size_t at = 0; at < grapheme.size() && result.size() <= bytes_max;) {
    const auto bytes = read_char(grapheme, at).bytes;
    const auto part = grapheme.substr(at, bytes);
    result += find(part).value_or(part);
    at += bytes;
  }
}

std::optional<std::string> charsmap::apply(std::string_view text, std::size_t bytes_max) const {
  std::string result;
  result.reserve(text.size());
  std::size_t begin = 0;
  utf8proc_int32_t state = 0;
  std::optional<char32_t> previous;
  for (std::size_t at = 0; at < text.size();) {
    const auto c = read_char(text, at);
    if (previous
        && utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(*previous),
                                            static_cast<utf8proc_int32_t>(c.code_point), &state)) {
      append(result, text.substr(begin, at - begin), bytes_max);
      if (result.size() > bytes_max)
        return std::nullopt;
      begin = at;
    }
    previous = c.code_point;
    at += c.bytes;
  }
  append(result, text.substr(begin), bytes_max);
  if (result.size() > bytes_max)
    return std::nullopt;
  return result;
}

} // namespace troupe::text
