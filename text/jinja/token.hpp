// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace troupe::text::jinja {

enum class token_kind : std::uint8_t {
  end_of_source,
  /// Text outside of tags, whitespace control applied.
  data,
  variable_begin,
  variable_end,
  block_begin,
  block_end,
  name,
  string,
  integer,
  real,
  plus,
  minus,
  star,
  star_star,
  slash,
  slash_slash,
  percent,
  tilde,
  pipe,
  dot,
  comma,
  colon,
  semicolon,
  assign,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  paren_open,
  paren_close,
  bracket_open,
  bracket_close,
  brace_open,
  brace_close,
};

struct token {
  token_kind kind = token_kind::end_of_source;
  std::uint32_t line = 0;
  /// Data, name, or string literal with its escapes resolved.
  std::string text;
  std::int64_t integer = 0;
  double real = 0;
};

/// For messages: "end of template", "name", "'=='".
std::string describe(const token&);

} // namespace troupe::text::jinja
