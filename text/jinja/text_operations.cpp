// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/text_operations.hpp"

#include "text/jinja/error.hpp"
#include "text/jinja/operations.hpp"

namespace troupe::text::jinja {

namespace {

bool has_code_point(std::string_view set, std::string_view c) {
  for (std::size_t at = 0; at < set.size(); at += decode(set, at).size)
    if (set.substr(at, decode(set, at).size) == c)
      return true;
  return false;
}

} // namespace

value convert_case(runtime& rt, std::string_view text, letter_case to) {
  rt.charge_bytes(text.size() * 4);
  return make_string(rt, to_case(text, to));
}

value capitalize_text(runtime& rt, std::string_view text) {
  if (text.empty())
    return value::string(text);
  rt.charge_bytes(text.size() * 4);
  const std::size_t first = decode(text, 0).size;
  // The whole is lowered, so that a final sigma sees the letter before it.
  const std::string lowered = to_case(text, letter_case::lower);
  const std::size_t lowered_first = to_case(text.substr(0, first), letter_case::lower).size();
  return make_string(rt, to_case(text.substr(0, first), letter_case::title) + lowered.substr(lowered_first));
}

value strip_text(runtime& rt, std::string_view text, const value* characters, strip_sides sides) {
  rt.charge_bytes(text.size());
  if (characters == nullptr || characters->is(kind::none)) {
    if (sides != strip_sides::right)
      text = strip_left(text);
    if (sides != strip_sides::left)
      text = strip_right(text);
    return value::string(text);
  }
  const std::string_view set = expect_string(rt, *characters, "the characters to strip");
  const auto drops = [&](code_point c, std::size_t at) {
    rt.charge_bytes(set.size() * 8);
    return has_code_point(set, text.substr(at, c.size));
  };
  if (sides != strip_sides::right)
    while (!text.empty() && drops(decode(text, 0), 0))
      text.remove_prefix(decode(text, 0).size);
  if (sides != strip_sides::left)
    while (!text.empty() && drops(decode_last(text), text.size() - decode_last(text).size))
      text.remove_suffix(decode_last(text).size);
  return value::string(text);
}

value replace_text(runtime& rt, std::string_view text, std::string_view from, std::string_view to, std::int64_t count) {
  rt.charge_bytes(text.size());
  text_builder out{rt.memory};
  std::size_t at = 0;
  const auto left = [&count] { return count < 0 || count-- > 0; };
  if (from.empty()) { // before every code point, and at the end
    while (at < text.size() && left()) {
      rt.charge();
      const std::size_t size = decode(text, at).size;
      out += to;
      out += text.substr(at, size);
      at += size;
    }
    if (at == text.size() && left())
      out += to;
    out += text.substr(at);
    return as_string(rt, out);
  }
  while (left()) {
    const auto found = text.find(from, at);
    if (found == std::string_view::npos)
      break;
    rt.charge();
    out += text.substr(at, found - at);
    out += to;
    at = found + from.size();
  }
  if (at == 0)
    return value::string(text);
  out += text.substr(at);
  return as_string(rt, out);
}

value pad_text(runtime& rt, std::string_view text, std::int64_t width, std::string_view fill, text_side side) {
  rt.charge_bytes(text.size());
  if (count_code_points(fill) != 1)
    rt.fail("the fill must be one character");
  const auto length = static_cast<std::int64_t>(count_code_points(text));
  if (width <= length)
    return value::string(text);
  const std::int64_t missing = width - length;
  if (static_cast<std::uint64_t>(missing) > rt.limits.value_bytes_max)
    rt.fail_limit("value_bytes_max", rt.limits.value_bytes_max);
  // Python's center puts the odd one to the left only if the width is odd.
  const std::int64_t before = side == text_side::left    ? 0
                              : side == text_side::right ? missing
                                                         : missing / 2 + (missing & width & 1);
  text_builder out{rt.memory};
  for (std::int64_t i = 0; i < before; ++i)
    out += fill;
  out += text;
  for (std::int64_t i = before; i < missing; ++i)
    out += fill;
  return as_string(rt, out);
}

std::size_t line_break_at(std::string_view text, std::size_t at) {
  const auto c = decode(text, at);
  if (!c.valid)
    return 0;
  switch (c.value) {
    case '\r': return at + 1 < text.size() && text[at + 1] == '\n' ? 2 : 1;
    case '\n':
    case '\v':
    case '\f':
    case 0x1c:
    case 0x1d:
    case 0x1e:
    case 0x85:
    case 0x2028:
    case 0x2029: return c.size;
    default: return 0;
  }
}

bool ends_in_line_break(std::string_view text) {
  return !text.empty() && line_break_at(text, text.size() - decode_last(text).size) != 0;
}

std::span<const value> split_lines(runtime& rt, std::string_view text) {
  rt.charge_bytes(text.size() * 2);
  growing<value> lines{rt.memory};
  std::size_t start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = line_break_at(text, at);
    if (size == 0) {
      at += decode(text, at).size;
      continue;
    }
    lines.push(value::string(text.substr(start, at - start)));
    at += size;
    start = at;
  }
  if (start < text.size())
    lines.push(value::string(text.substr(start)));
  return {lines.data(), lines.size()};
}

} // namespace troupe::text::jinja
