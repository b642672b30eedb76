// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/unicode.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

#include <utf8proc.h>

#include "text/jinja/case_expansions.hpp"

namespace troupe::text::jinja {

namespace {

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

void append_utf8(std::string& out, char32_t c) {
  utf8proc_uint8_t bytes[4];
  const auto size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

const case_expansion* find_expansion(char32_t c) {
  const auto* found = std::lower_bound(std::begin(case_expansions), std::end(case_expansions), c,
                                       [](const case_expansion& e, char32_t x) { return e.from < x; });
  return found != std::end(case_expansions) && found->from == c ? found : nullptr;
}

void append_case(std::string& out, char32_t c, letter_case to) {
  if (to == letter_case::upper || to == letter_case::title)
    if (const auto* e = find_expansion(c)) {
      const auto text = to == letter_case::upper ? e->upper : e->title;
      out.append(reinterpret_cast<const char*>(text.data()), text.size());
      return;
    }
  const auto point = static_cast<utf8proc_int32_t>(c);
  switch (to) {
    case letter_case::upper: return append_utf8(out, static_cast<char32_t>(utf8proc_toupper(point)));
    case letter_case::title: return append_utf8(out, static_cast<char32_t>(utf8proc_totitle(point)));
    case letter_case::lower:
      if (c == U'\u0130') { // the only lower form of two characters
        out += "i\u0307";
        return;
      }
      return append_utf8(out, static_cast<char32_t>(utf8proc_tolower(point)));
    case letter_case::fold: {
      utf8proc_int32_t folded[8];
      int last_boundclass = 0;
      const auto n = utf8proc_decompose_char(point, folded, 8, UTF8PROC_CASEFOLD, &last_boundclass);
      for (utf8proc_ssize_t i = 0; i < n && i < 8; ++i)
        append_utf8(out, static_cast<char32_t>(folded[i]));
      return;
    }
  }
}

/// The next eight bytes are there and are eight characters.
bool is_ascii_word(std::string_view text, std::size_t at) {
  if (text.size() - at < 8)
    return false;
  std::uint64_t word = 0;
  std::memcpy(&word, text.data() + at, 8);
  return (word & 0x8080808080808080ULL) == 0;
}

bool is_case_ignorable(char32_t c) {
  switch (category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK: return true;
    default: return c == '\'' || c == '.' || c == ':' || c == U'\u00b7' || c == U'\u2019';
  }
}

// A sigma is final if a cased letter is before it and none follows, across what is case-ignorable.
bool is_final_sigma(std::string_view text, std::size_t at, std::size_t size) {
  std::string_view before = text.substr(0, at);
  while (!before.empty() && is_case_ignorable(decode_last(before).value))
    before.remove_suffix(decode_last(before).size);
  if (before.empty() || !is_cased(decode_last(before).value))
    return false;
  std::size_t after = at + size;
  while (after < text.size() && is_case_ignorable(decode(text, after).value))
    after += decode(text, after).size;
  return after == text.size() || !is_cased(decode(text, after).value);
}

} // namespace

code_point decode(std::string_view text, std::size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80)
    return {first, 1, true};
  utf8proc_int32_t point = 0;
  const auto left = std::min<std::size_t>(text.size() - at, 4);
  const auto size = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data() + at),
                                     static_cast<utf8proc_ssize_t>(left), &point);
  if (size <= 0)
    return {first, 1, false};
  return {static_cast<char32_t>(point), static_cast<std::uint32_t>(size), true};
}

code_point decode_last(std::string_view text) {
  for (std::size_t size = 1; size <= 4 && size <= text.size(); ++size) {
    const auto at = text.size() - size;
    if ((static_cast<unsigned char>(text[at]) & 0xc0) == 0x80)
      continue;
    if (const auto c = decode(text, at); c.size == size)
      return c;
    break;
  }
  return {static_cast<unsigned char>(text.back()), 1, false};
}

std::string encode(char32_t c) {
  std::string out;
  append_utf8(out, c);
  return out;
}

std::size_t count_code_points(std::string_view text) {
  std::size_t n = 0;
  for (std::size_t at = 0; at < text.size(); ++n) {
    while (is_ascii_word(text, at)) {
      at += 8;
      n += 8;
    }
    if (at == text.size())
      break;
    at += decode(text, at).size;
  }
  return n;
}

std::size_t offset_of(std::string_view text, std::size_t n) {
  std::size_t at = 0;
  while (at < text.size() && n != 0) {
    if (n >= 8 && is_ascii_word(text, at)) {
      at += 8;
      n -= 8;
    } else {
      at += decode(text, at).size;
      --n;
    }
  }
  return at;
}

bool is_space(char32_t c) {
  if (c < 0x80)
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20);
  return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029
         || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool is_printable(char32_t c) {
  if (c < 0x7f)
    return c >= 0x20;
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
  }
}

bool is_alpha(char32_t c) {
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool is_decimal(char32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }

bool is_digit(char32_t c) {
  return is_decimal(c) || c == 0xb2 || c == 0xb3 || c == 0xb9 || c == 0x2070 || (c >= 0x2074 && c <= 0x2079)
         || (c >= 0x2080 && c <= 0x2089) || (c >= 0x2460 && c <= 0x2468);
}

bool is_numeric(char32_t c) {
  return is_digit(c) || category(c) == UTF8PROC_CATEGORY_NL || category(c) == UTF8PROC_CATEGORY_NO;
}

bool is_upper(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LU; }
bool is_lower(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LL; }
bool is_cased(char32_t c) { return is_upper(c) || is_lower(c) || category(c) == UTF8PROC_CATEGORY_LT; }

std::string_view strip_left(std::string_view text) {
  while (!text.empty() && is_space(decode(text, 0).value) && decode(text, 0).valid)
    text.remove_prefix(decode(text, 0).size);
  return text;
}

std::string_view strip_right(std::string_view text) {
  while (!text.empty() && is_space(decode_last(text).value) && decode_last(text).valid)
    text.remove_suffix(decode_last(text).size);
  return text;
}

std::string to_case(std::string_view text, letter_case to) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto c = decode(text, at);
    if (!c.valid)
      out += text[at];
    else if (to == letter_case::lower && c.value == U'\u03a3')
      append_utf8(out, is_final_sigma(text, at, c.size) ? U'\u03c2' : U'\u03c3');
    else if (c.value < 0x80 && to != letter_case::upper && to != letter_case::title)
      out += static_cast<char>(c.value >= 'A' && c.value <= 'Z' ? c.value + 32 : c.value);
    else
      append_case(out, c.value, to);
    at += c.size;
  }
  return out;
}

} // namespace troupe::text::jinja
