// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <cmath>

#include "text/jinja/builtin_tables.hpp"
#include "text/jinja/builtins.hpp"
#include "text/jinja/interpreter.hpp"
#include "text/jinja/unicode.hpp"

namespace troupe::text::jinja {

namespace {

/// Without underscores between digits; nothing if one is elsewhere.
std::optional<std::string> drop_underscores(std::string_view text) {
  const auto is_alnum = [](char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_')
      out += text[i];
    else if (i == 0 || i + 1 == text.size() || !is_alnum(text[i - 1]) || !is_alnum(text[i + 1]))
      return std::nullopt;
  }
  return out;
}

std::optional<std::int64_t> integer_of(runtime& rt, double x) {
  if (!(std::fabs(x) < 9223372036854775808.0))
    rt.fail("the number does not fit 64 bits");
  return static_cast<std::int64_t>(x);
}

} // namespace

std::optional<std::int64_t> parse_integer(runtime& rt, std::string_view text, std::int64_t base) {
  if (base != 0 && (base < 2 || base > 36))
    return std::nullopt;
  const auto digits = drop_underscores(strip_right(strip_left(text)));
  if (!digits)
    return std::nullopt;
  std::string_view rest = *digits;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+'))
    rest.remove_prefix(1);
  if (rest.size() > 2 && rest[0] == '0') {
    const char prefix = static_cast<char>(rest[1] | 0x20);
    const int prefix_base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 0;
    if (prefix_base != 0 && (base == 0 || base == prefix_base)) {
      base = prefix_base;
      rest.remove_prefix(2);
    }
  }
  if (base == 0)
    base = 10;
  if (rest.empty() || rest[0] == '-')
    return std::nullopt;
  const std::string signed_text = (negative ? "-" : "") + std::string{rest};
  std::int64_t x = 0;
  const char* const end = signed_text.data() + signed_text.size();
  const auto parsed = std::from_chars(signed_text.data(), end, x, static_cast<int>(base));
  if (parsed.ptr != end)
    return std::nullopt;
  if (parsed.ec == std::errc::result_out_of_range)
    rt.fail("integer " + in_quotes(text) + " does not fit 64 bits");
  return x;
}

std::optional<double> parse_real(std::string_view text) {
  const auto digits = drop_underscores(strip_right(strip_left(text)));
  if (!digits)
    return std::nullopt;
  std::string_view rest = *digits;
  if (rest.starts_with('+'))
    rest.remove_prefix(1);
  if (rest.empty() || rest.starts_with('+') || rest.find('(') != std::string_view::npos
      || (rest.size() != digits->size() && rest.starts_with('-')))
    return std::nullopt;
  double x = 0;
  const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), x);
  if (parsed.ptr != rest.data() + rest.size())
    return std::nullopt;
  if (parsed.ec == std::errc::result_out_of_range)
    return std::strtod(std::string{rest}.c_str(), nullptr);
  return x;
}

namespace {

value to_integer(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "int", args, {"default", "base"}};
  const value otherwise = bound[0] != nullptr ? *bound[0] : value::number(std::int64_t{0});
  switch (input.type) {
    case kind::undefined: fail_undefined(rt, input);
    case kind::boolean:
    case kind::integer: return value::number(input.as_integer());
    case kind::real:
      if (std::isnan(input.real))
        return otherwise;
      return value::number(*integer_of(rt, input.real));
    case kind::string: {
      // A base that is no integer fails like a text that is none: with the default.
      if (bound[1] == nullptr || bound[1]->is_integral())
        if (const auto x = parse_integer(rt, input.text(), bound[1] == nullptr ? 10 : bound[1]->as_integer()))
          return value::number(*x);
      const auto x = parse_real(input.text());
      return x && std::isfinite(*x) ? value::number(*integer_of(rt, *x)) : otherwise;
    }
    default: return otherwise;
  }
}

value to_real(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "float", args, {"default"}};
  const value otherwise = bound[0] != nullptr ? *bound[0] : value::number(0.0);
  if (input.is(kind::undefined))
    fail_undefined(rt, input);
  if (input.is_number())
    return value::number(input.as_real());
  if (input.is(kind::string))
    if (const auto x = parse_real(input.text()))
      return value::number(*x);
  return otherwise;
}

value absolute(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments none{rt, "abs", args, {}};
  if (input.is(kind::real))
    return value::number(std::fabs(input.real));
  const std::int64_t x = expect_integer(rt, input, "the input of 'abs'");
  return value::number(x < 0 ? checked_multiply(rt, x, -1) : x);
}

/// Half to even, for digits before the point.
std::int64_t round_integer(runtime& rt, std::int64_t x, std::int64_t digits) {
  if (digits >= 0)
    return x;
  if (digits < -18)
    return 0;
  std::int64_t unit = 1;
  for (; digits < 0; ++digits)
    unit *= 10;
  const std::int64_t rest = (x % unit + unit) % unit;
  std::int64_t quotient = (x - rest) / unit;
  if (rest * 2 > unit || (rest * 2 == unit && quotient % 2 != 0))
    ++quotient;
  return checked_multiply(rt, quotient, unit);
}

value round(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "round", args, {"precision", "method"}};
  const std::int64_t digits = bound[0] != nullptr ? expect_integer(rt, *bound[0], "the precision of 'round'") : 0;
  const std::string_view method =
    bound[1] != nullptr ? expect_string(rt, *bound[1], "the method of 'round'") : std::string_view{"common"};
  if (input.is(kind::undefined))
    fail_undefined(rt, input);
  if (!input.is_number())
    rt.fail("the input of 'round' must be a number, not " + std::string{type_name(input)});
  if (method == "common")
    return input.is(kind::real) ? value::number(round_to(input.real, digits))
                                : value::number(round_integer(rt, input.as_integer(), digits));
  if (method != "ceil" && method != "floor")
    rt.fail("the method of 'round' must be common, ceil or floor");
  const value power = calculate(rt, arithmetic_op::power, value::number(std::int64_t{10}), value::number(digits));
  const double scaled = calculate(rt, arithmetic_op::multiply, input, power).as_real();
  if (!std::isfinite(scaled))
    rt.fail("the number cannot be rounded");
  return value::number((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / power.as_real());
}

} // namespace

const filter_table& number_filters() {
  static const filter_table table{{"int", to_integer}, {"float", to_real}, {"abs", absolute}, {"round", round}};
  return table;
}

} // namespace troupe::text::jinja
