// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/openai/json_writer.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include "text/unicode.hpp"

namespace troupe::openai {

namespace {

/// 0: stands for itself; 'u': \u00XX; else the letter after the backslash.
constexpr std::array<char, 256> make_escapes() {
  std::array<char, 256> result{};
  for (std::size_t c = 0; c < 0x20; ++c)
    result[c] = 'u';
  result['\b'] = 'b';
  result['\t'] = 't';
  result['\n'] = 'n';
  result['\f'] = 'f';
  result['\r'] = 'r';
  result['"'] = '"';
  result['\\'] = '\\';
  return result;
}

constexpr auto escapes = make_escapes();

template <class Number>
void append_number(std::string& out, Number value) {
  char digits[32];
  auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

} // namespace

void append_utf8_string(std::string& out, std::string_view text) {
  out += '"';
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const char escape = escapes[byte];
    if (escape == 0) [[likely]]
      continue;
    out.append(text, begin, i - begin);
    begin = i + 1;
    out += '\\';
    out += escape;
    if (escape == 'u') {
      constexpr char hex[] = "0123456789abcdef";
      out += "00";
      out += hex[byte >> 4];
      out += hex[byte & 15];
    }
  }
  out.append(text, begin, text.size() - begin);
  out += '"';
}

void append_string(std::string& out, std::string_view text) {
  text::utf8_repairer repairer;
  std::string repaired = repairer.push(text);
  repaired += repairer.finish();
  append_utf8_string(out, repaired);
}

void append_integer(std::string& out, std::int64_t value) { append_number(out, value); }

void append_unsigned(std::string& out, std::uint64_t value) { append_number(out, value); }

void append_float(std::string& out, float value) {
  if (!std::isfinite(value))
    value = value > 0 ? 9999.0f : -9999.0f;
  append_number(out, value);
}

void append_byte_array(std::string& out, std::string_view bytes) {
  out += '[';
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0)
      out += ',';
    append_unsigned(out, static_cast<unsigned char>(bytes[i]));
  }
  out += ']';
}

} // namespace troupe::openai
