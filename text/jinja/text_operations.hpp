// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "text/jinja/runtime.hpp"
#include "text/jinja/unicode.hpp"
#include "text/jinja/value.hpp"

namespace troupe::text::jinja {

// Python's string operations that filters and methods share.

value convert_case(runtime&, std::string_view, letter_case);
value capitalize_text(runtime&, std::string_view);

enum class strip_sides : std::uint8_t { left, right, both };
/// characters: nullptr or none for whitespace.
value strip_text(runtime&, std::string_view, const value* characters, strip_sides);

/// count: at most so many, all if negative.
value replace_text(runtime&, std::string_view text, std::string_view from, std::string_view to, std::int64_t count);

enum class text_side : std::uint8_t { left, right, center };
/// The text is at that side (Python's ljust, rjust, center). fill: one code point.
value pad_text(runtime&, std::string_view, std::int64_t width, std::string_view fill, text_side);

/// Lines without their ends, strings.
std::span<const value> split_lines(runtime&, std::string_view);
bool ends_in_line_break(std::string_view);
/// Bytes of the line break at `at`, 0 if there is none.
std::size_t line_break_at(std::string_view, std::size_t at);

} // namespace troupe::text::jinja
