// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/jinja/operations.hpp"

namespace troupe::text::jinja {

/// How one value is written into a format string, in either of Python's two notations.
struct format_spec {
  std::string fill = " ";
  /// '<', '>', '^', '=' or 0 for the type's own
  char align = 0;
  /// '+', ' ' or '-'
  char sign = '-';
  bool alternate = false;
  /// ',' or '_' between groups of three digits, or 0
  char grouping = 0;
  std::int64_t width = 0;
  std::int64_t precision = -1;
  /// 's', 'd', 'x', 'X', 'o', 'b', 'c', 'e', 'E', 'f', 'F', 'g', 'G', '%' or 0 for the type's own
  char type = 0;
};

/// Widths and precisions beyond this are refused.
constexpr std::int64_t format_width_max = 4096;

/// Fails on a type that the value does not have.
void append_formatted(runtime&, text_builder&, const value&, const format_spec&);

/// Digits at `at`, which moves past them; fails above format_width_max.
std::int64_t read_width(runtime&, std::string_view text, std::size_t& at);

} // namespace troupe::text::jinja
