// SPDX-License-Identifier: Apache-2.0
#include <cfenv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "text/jinja/builtins.hpp"
#include "text/jinja/error.hpp"
#include "text/jinja/operations.hpp"

namespace troupe::text::jinja {

namespace {

constexpr std::string_view symbol_of(arithmetic_op op) {
  switch (op) {
    case arithmetic_op::add: return "+";
    case arithmetic_op::subtract: return "-";
    case arithmetic_op::multiply: return "*";
    case arithmetic_op::divide: return "/";
    case arithmetic_op::floor_divide: return "//";
    case arithmetic_op::modulo: return "%";
    case arithmetic_op::power: return "**";
  }
  return "?";
}

[[noreturn]] void fail_overflow(runtime& rt) { rt.fail("an integer does not fit 64 bits"); }

value integer_power(runtime& rt, std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == 0)
      rt.fail("zero cannot be raised to a negative power");
    return value::number(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  if (base == 0 || base == 1 || exponent == 0)
    return value::number(exponent == 0 ? std::int64_t{1} : base);
  if (base == -1)
    return value::number(std::int64_t{exponent % 2 == 0 ? 1 : -1});
  std::int64_t result = 1;
  for (; exponent > 0; --exponent) // at most 63 rounds before it overflows
    result = checked_multiply(rt, result, base);
  return value::number(result);
}

value integer_operation(runtime& rt, arithmetic_op op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  switch (op) {
    case arithmetic_op::add:
      if (__builtin_add_overflow(a, b, &result))
        fail_overflow(rt);
      return value::number(result);
    case arithmetic_op::subtract:
      if (__builtin_sub_overflow(a, b, &result))
        fail_overflow(rt);
      return value::number(result);
    case arithmetic_op::multiply: return value::number(checked_multiply(rt, a, b));
    case arithmetic_op::power: return integer_power(rt, a, b);
    default: break;
  }
  if (b == 0)
    rt.fail("division by zero");
  if (op == arithmetic_op::divide)
    return value::number(static_cast<double>(static_cast<long double>(a) / static_cast<long double>(b)));
  if (b == -1) // the quotient of the smallest integer does not fit
    return op == arithmetic_op::modulo ? value::number(std::int64_t{0}) : value::number(checked_multiply(rt, a, -1));
  // Python rounds to minus infinity, C to zero.
  const bool adjust = a % b != 0 && (a % b < 0) != (b < 0);
  return op == arithmetic_op::modulo ? value::number(a % b + (adjust ? b : 0))
                                     : value::number(a / b - (adjust ? 1 : 0));
}

double real_modulo(double a, double b) {
  double m = std::fmod(a, b);
  if (m != 0) {
    if ((b < 0) != (m < 0))
      m += b;
  } else {
    m = std::copysign(0.0, b);
  }
  return m;
}

double real_floor_divide(double a, double b) {
  const double m = std::fmod(a, b);
  double quotient = (a - m) / b;
  if (m != 0 && (b < 0) != (m < 0))
    quotient -= 1;
  if (quotient == 0)
    return std::copysign(0.0, a / b);
  const double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

value real_operation(runtime& rt, arithmetic_op op, double a, double b) {
  switch (op) {
    case arithmetic_op::add: return value::number(a + b);
    case arithmetic_op::subtract: return value::number(a - b);
    case arithmetic_op::multiply: return value::number(a * b);
    case arithmetic_op::power: {
      if (a == 0 && b < 0)
        rt.fail("zero cannot be raised to a negative power");
      const double result = std::pow(a, b);
      if (std::isnan(result) && !std::isnan(a) && !std::isnan(b))
        rt.fail("the power is not a real number");
      if (std::isinf(result) && !std::isinf(a) && !std::isinf(b))
        rt.fail("the power is too large");
      return value::number(result);
    }
    default: break;
  }
  if (b == 0)
    rt.fail("division by zero");
  switch (op) {
    case arithmetic_op::divide: return value::number(a / b);
    case arithmetic_op::modulo: return value::number(real_modulo(a, b));
    default: return value::number(real_floor_divide(a, b));
  }
}

value repeat(runtime& rt, const value& what, std::int64_t times) {
  const std::uint64_t count = times > 0 ? static_cast<std::uint64_t>(times) : 0;
  const std::uint64_t size = what.is(kind::string) ? what.size : what.items->size;
  if (size != 0 && count > rt.limits.value_bytes_max / size)
    rt.fail_limit("value_bytes_max", rt.limits.value_bytes_max);
  if (what.is(kind::string)) {
    text_builder out{rt.memory};
    out.reserve(size * count);
    for (std::uint64_t i = 0; size != 0 && i < count; ++i)
      out += what.text();
    return as_string(rt, out);
  }
  rt.charge(size * count);
  growing<value> out{rt.memory};
  out.reserve(size * count);
  for (std::uint64_t i = 0; size != 0 && i < count; ++i)
    out.append(what.items->items, size);
  return what.is(kind::list) ? as_list(rt, out) : as_tuple(rt, out);
}

bool is_repeatable(const value& v) { return v.is(kind::string) || v.is(kind::list) || v.is(kind::tuple); }

value join_strings(runtime& rt, value a, value b) {
  const bool marked = a.marked || b.marked;
  if (marked && !a.marked)
    a = escape_html(rt, a);
  if (marked && !b.marked)
    b = escape_html(rt, b);
  text_builder out{rt.memory};
  out.reserve(std::size_t{a.size} + b.size);
  out += a.text();
  out += b.text();
  value joined = as_string(rt, out);
  joined.marked = marked;
  return joined;
}

value join_lists(runtime& rt, const value& a, const value& b) {
  rt.charge(a.items->size + b.items->size);
  growing<value> out{rt.memory};
  out.reserve(a.items->size + b.items->size);
  out.append(a.items->items, a.items->size);
  out.append(b.items->items, b.items->size);
  return a.is(kind::list) ? as_list(rt, out) : as_tuple(rt, out);
}

} // namespace

std::int64_t checked_multiply(runtime& rt, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result))
    fail_overflow(rt);
  return result;
}

value calculate(runtime& rt, arithmetic_op op, const value& a, const value& b) {
  if (a.is_integral() && b.is_integral())
    return integer_operation(rt, op, a.as_integer(), b.as_integer());
  if (a.is_number() && b.is_number())
    return real_operation(rt, op, a.as_real(), b.as_real());
  if (op == arithmetic_op::modulo && a.is(kind::string))
    return format_percent(rt, a, b);
  if (a.is(kind::undefined))
    fail_undefined(rt, a);
  if (b.is(kind::undefined))
    fail_undefined(rt, b);
  if (op == arithmetic_op::add && a.type == b.type) {
    if (a.is(kind::string))
      return join_strings(rt, a, b);
    if (a.is(kind::list) || a.is(kind::tuple))
      return join_lists(rt, a, b);
  }
  if (op == arithmetic_op::multiply) {
    if (is_repeatable(a) && b.is_integral())
      return repeat(rt, a, b.as_integer());
    if (is_repeatable(b) && a.is_integral())
      return repeat(rt, b, a.as_integer());
  }
  rt.fail("'" + std::string{symbol_of(op)} + "' is not defined between " + std::string{type_name(a)} + " and "
          + std::string{type_name(b)});
}

value negate(runtime& rt, const value& v) {
  if (v.is_integral())
    return value::number(checked_multiply(rt, v.as_integer(), -1));
  if (v.is(kind::real))
    return value::number(-v.real);
  if (v.is(kind::undefined))
    fail_undefined(rt, v);
  rt.fail("a value of type " + std::string{type_name(v)} + " cannot be negated");
}

double round_to(double x, std::int64_t digits) {
  if (!std::isfinite(x) || digits > 323)
    return x;
  if (digits < -308)
    return std::copysign(0.0, x);
  if (digits >= 0) {
    char text[700]; // 309 digits, a point and 323 more
    std::snprintf(text, sizeof text, "%.*f", static_cast<int>(digits), x);
    return std::strtod(text, nullptr);
  }
  const double unit = std::pow(10.0, static_cast<double>(-digits));
  return std::nearbyint(x / unit) * unit;
}

} // namespace troupe::text::jinja
