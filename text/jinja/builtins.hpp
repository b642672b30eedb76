// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>

#include "text/jinja/runtime.hpp"
#include "text/jinja/value.hpp"

namespace troupe::text::jinja {

/// nullptr if there is none of that name.
filter_function find_filter(std::string_view name);
test_function find_test(std::string_view name);
filter_function find_method(kind type, std::string_view name);
std::span<const function_entry> global_functions();

/// Where each of the parameters named got its argument, nullptr for those left out. Fails on too many or
/// unknown arguments, and if one of the first `required` is missing. A name starting with '*' takes no keyword.
class bound_arguments {
public:
  static constexpr std::size_t parameters_max = 8;
  bound_arguments(runtime&, std::string_view callee, const arguments&, std::initializer_list<std::string_view> names,
                  std::size_t required = 0);
  const value* operator[](std::size_t i) const { return values_[i]; }

private:
  std::array<const value*, parameters_max> values_{};
};

/// "text" % arguments (format_percent.cpp) and "text".format(…) (format_braces.cpp).
value format_percent(runtime&, const value& text, const value& arguments);
value format_braces(interpreter&, const value& text, const arguments&);

/// Replaces & < > ' " and marks the result; leaves what is marked.
value escape_html(runtime&, const value&);

/// Python's textual int() and float().
std::optional<std::int64_t> parse_integer(runtime&, std::string_view text, std::int64_t base);
std::optional<double> parse_real(std::string_view text);

} // namespace troupe::text::jinja
