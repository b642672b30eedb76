// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <cmath>

#include "text/jinja/operations.hpp"

namespace troupe::text::jinja {

/// Python's repr(float): the shortest digits that read back equal, with an exponent below 1e-4 and from 1e16.
std::string number_text(double x) {
  if (std::isnan(x))
    return "nan";
  if (std::isinf(x))
    return x < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, x, std::chars_format::scientific).ptr;
  const std::string_view scientific{buffer, static_cast<std::size_t>(end - buffer)};
  const auto e = scientific.find('e');
  int exponent = 0;
  const auto* exponent_from = scientific.data() + e + (scientific[e + 1] == '+' ? 2 : 1);
  std::from_chars(exponent_from, end, exponent);
  std::string_view mantissa = scientific.substr(0, e);
  std::string out;
  if (mantissa[0] == '-') {
    out += '-';
    mantissa.remove_prefix(1);
  }
  std::string digits{mantissa.substr(0, 1)};
  if (mantissa.size() > 2)
    digits += mantissa.substr(2);
  const int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (count > 1)
      out += "." + digits.substr(1);
    out += exponent < 0 ? "e-" : "e+";
    const int magnitude = std::abs(exponent);
    return out += (magnitude < 10 ? "0" : "") + std::to_string(magnitude);
  }
  if (exponent < 0)
    return out += "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  if (count <= exponent + 1)
    return out += digits + std::string(static_cast<std::size_t>(exponent + 1 - count), '0') + ".0";
  const auto point = static_cast<std::size_t>(exponent + 1);
  return out += digits.substr(0, point) + "." + digits.substr(point);
}

} // namespace troupe::text::jinja
