// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/format_spec.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "text/jinja/unicode.hpp"

namespace troupe::text::jinja {

namespace {

void append_padded(text_builder& out, std::string_view sign, std::string_view body, const format_spec& spec,
                   char align) {
  const auto length = static_cast<std::int64_t>(count_code_points(sign) + count_code_points(body));
  const std::int64_t missing = spec.width > length ? spec.width - length : 0;
  const std::int64_t before = align == '>' ? missing : align == '^' ? missing / 2 : 0;
  const auto fill = [&](std::int64_t n) {
    for (; n > 0; --n)
      out += spec.fill;
  };
  fill(before);
  out += sign;
  if (align == '=')
    fill(missing);
  out += body;
  if (align != '=')
    fill(missing - before);
}

std::string group_digits(std::string digits, char separator) {
  const auto end = digits.find_first_not_of("0123456789");
  std::size_t at = end == std::string::npos ? digits.size() : end;
  while (at > 3) {
    at -= 3;
    digits.insert(at, 1, separator);
  }
  return digits;
}

std::string integer_digits(runtime& rt, std::int64_t x, const format_spec& spec) {
  const int base = spec.type == 'x' || spec.type == 'X' ? 16 : spec.type == 'o' ? 8 : spec.type == 'b' ? 2 : 10;
  std::array<char, 72> buffer{};
  const std::uint64_t magnitude = x < 0 ? 0 - static_cast<std::uint64_t>(x) : static_cast<std::uint64_t>(x);
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), magnitude, base).ptr;
  std::string digits{buffer.data(), end};
  if (spec.type == 'X')
    for (char& c : digits)
      c = c >= 'a' ? static_cast<char>(c - 32) : c;
  if (spec.grouping != 0) {
    if (base != 10)
      rt.fail("only decimal digits can be grouped");
    digits = group_digits(std::move(digits), spec.grouping);
  }
  if (spec.alternate && base != 10)
    digits.insert(0, std::string{'0', spec.type});
  return digits;
}

std::string real_digits(double x, const format_spec& spec) {
  if (!std::isfinite(x)) {
    const bool upper = spec.type == 'E' || spec.type == 'F' || spec.type == 'G';
    const std::string_view name = std::isnan(x) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf");
    return std::string{name} + (spec.type == '%' ? "%" : "");
  }
  x = std::fabs(x);
  if (spec.type == 0 && spec.precision < 0)
    return number_text(x);
  const char type = spec.type == '%' ? 'f' : spec.type == 0 ? 'g' : spec.type;
  const std::string pattern = std::string{"%"} + (spec.alternate ? "#" : "") + ".*" + type;
  const int precision = spec.precision < 0 ? 6 : static_cast<int>(spec.precision);
  std::string digits(static_cast<std::size_t>(format_width_max + 400), '\0');
  const int size =
    std::snprintf(digits.data(), digits.size(), pattern.c_str(), precision, spec.type == '%' ? x * 100 : x);
  digits.resize(static_cast<std::size_t>(size));
  if (spec.type == 0 && digits.find_first_of(".e") == std::string::npos)
    digits += ".0"; // a float never looks like an integer
  if (spec.grouping != 0)
    digits = group_digits(std::move(digits), spec.grouping);
  return spec.type == '%' ? digits + "%" : digits;
}

std::string_view sign_of(bool negative, const format_spec& spec) {
  if (negative)
    return "-";
  return spec.sign == '+' ? "+" : spec.sign == ' ' ? " " : "";
}

} // namespace

std::int64_t read_width(runtime& rt, std::string_view text, std::size_t& at) {
  std::int64_t width = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    width = width * 10 + (text[at] - '0');
    if (width > format_width_max)
      rt.fail_limit("the width of a format", static_cast<std::uint64_t>(format_width_max));
  }
  return width;
}

void append_formatted(runtime& rt, text_builder& out, const value& v, const format_spec& spec) {
  if (v.is(kind::string) || spec.type == 's') {
    if (spec.type != 0 && spec.type != 's')
      rt.fail("format type '" + std::string{spec.type} + "' is not defined for a string");
    std::string_view text = to_text(rt, v);
    if (spec.precision >= 0)
      text = text.substr(0, offset_of(text, static_cast<std::size_t>(spec.precision)));
    return append_padded(out, {}, text, spec, spec.align != 0 ? spec.align : '<');
  }
  const char align = spec.align != 0 ? spec.align : '>';
  if (spec.type == 'c')
    return append_padded(out, {}, encode(static_cast<char32_t>(expect_integer(rt, v, "a character"))), spec, align);
  const bool wants_integer =
    spec.type == 'd' || spec.type == 'x' || spec.type == 'X' || spec.type == 'o' || spec.type == 'b';
  if (v.is_integral() && (wants_integer || spec.type == 0)) {
    const std::int64_t x = v.as_integer();
    return append_padded(out, sign_of(x < 0, spec), integer_digits(rt, x, spec), spec, align);
  }
  if (wants_integer || !v.is_number())
    rt.fail("a value of type " + std::string{type_name(v)} + " cannot be formatted so");
  const double x = v.as_real();
  append_padded(out, sign_of(std::signbit(x) && !std::isnan(x), spec), real_digits(x, spec), spec, align);
}

} // namespace troupe::text::jinja
