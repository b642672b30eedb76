// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "text/jinja/error.hpp"
#include "text/jinja/lexer.hpp"
#include "text/jinja/unicode.hpp"

namespace troupe::text::jinja {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

char32_t read_hex(std::string_view literal, std::size_t& at, std::size_t digits, std::uint32_t line) {
  char32_t point = 0;
  for (std::size_t i = 0; i < digits; ++i, ++at) {
    const int digit = at < literal.size() ? hex_digit(literal[at]) : -1;
    if (digit < 0)
      throw fault{{template_errc::syntax, "truncated escape in a string", line}};
    point = point * 16 + static_cast<char32_t>(digit);
  }
  if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
    throw fault{{template_errc::syntax, "an escape in a string names no character", line}};
  return point;
}

std::optional<char> simple_escape(char c) {
  switch (c) {
    case '\\': return '\\';
    case '\'': return '\'';
    case '"': return '"';
    case 'a': return '\a';
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'v': return '\v';
    default: return std::nullopt;
  }
}

} // namespace

std::string unescape(std::string_view literal, std::uint32_t line) {
  std::string out;
  out.reserve(literal.size());
  for (std::size_t at = 0; at < literal.size();) {
    const char c = literal[at++];
    if (c != '\\' || at == literal.size()) {
      out += c;
      continue;
    }
    const char e = literal[at++];
    if (const auto simple = simple_escape(e)) {
      out += *simple;
    } else if (e >= '0' && e <= '7') {
      char32_t point = static_cast<char32_t>(e - '0');
      for (int i = 0; i < 2 && at < literal.size() && literal[at] >= '0' && literal[at] <= '7'; ++i)
        point = point * 8 + static_cast<char32_t>(literal[at++] - '0');
      out += encode(point);
    } else if (e == 'x' || e == 'u' || e == 'U') {
      out += encode(read_hex(literal, at, e == 'x' ? 2 : e == 'u' ? 4 : 8, line));
    } else if (e == 'N') {
      throw fault{{template_errc::syntax, "\\N escapes are not supported", line}};
    } else if (e != '\n') { // backslash and newline vanish; an unknown escape stays as it is
      out += c;
      out += e;
    }
  }
  return out;
}

} // namespace troupe::text::jinja
