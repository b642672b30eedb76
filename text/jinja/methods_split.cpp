// SPDX-License-Identifier: Apache-2.0
// Methods of strings that cut them into parts.
#include <algorithm>

#include "text/jinja/builtin_tables.hpp"
#include "text/jinja/builtins.hpp"
#include "text/jinja/interpreter.hpp"
#include "text/jinja/text_operations.hpp"
#include "text/jinja/unicode.hpp"

namespace troupe::text::jinja {

namespace {

/// At runs of whitespace; `left` cuts at most, then the rest as it is.
void split_at_space(runtime& rt, growing<value>& out, std::string_view text, std::int64_t left) {
  text = strip_left(text);
  while (!text.empty()) {
    rt.charge();
    std::size_t end = 0;
    while (end < text.size() && !is_space(decode(text, end).value))
      end += decode(text, end).size;
    if (left-- == 0) {
      out.push(value::string(text));
      return;
    }
    out.push(value::string(text.substr(0, end)));
    text = strip_left(text.substr(end));
  }
}

void split_at_space_from_right(runtime& rt, growing<value>& out, std::string_view text, std::int64_t left) {
  text = strip_right(text);
  while (!text.empty()) {
    rt.charge();
    std::size_t start = text.size();
    while (start > 0 && !is_space(decode_last(text.substr(0, start)).value))
      start -= decode_last(text.substr(0, start)).size;
    if (left-- == 0) {
      out.push(value::string(text));
      return;
    }
    out.push(value::string(text.substr(start)));
    text = strip_right(text.substr(0, start));
  }
}

void split_at(runtime& rt, growing<value>& out, std::string_view text, std::string_view separator, std::int64_t left) {
  while (left-- != 0) {
    rt.charge();
    const auto found = text.find(separator);
    if (found == std::string_view::npos)
      break;
    out.push(value::string(text.substr(0, found)));
    text.remove_prefix(found + separator.size());
  }
  out.push(value::string(text));
}

void split_at_from_right(runtime& rt, growing<value>& out, std::string_view text, std::string_view separator,
                         std::int64_t left) {
  while (left-- != 0) {
    rt.charge();
    const auto found = text.rfind(separator);
    if (found == std::string_view::npos)
      break;
    out.push(value::string(text.substr(found + separator.size())));
    text = text.substr(0, found);
  }
  out.push(value::string(text));
}

enum class from_side : std::uint8_t { left, right };

template <from_side Side>
value split(interpreter& in, const value& self, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "split", args, {"sep", "maxsplit"}};
  const std::int64_t most = bound[1] != nullptr ? expect_integer(rt, *bound[1], "the limit of 'split'") : -1;
  rt.charge_bytes(self.size);
  growing<value> out{rt.memory};
  if (bound[0] == nullptr || bound[0]->is(kind::none)) {
    Side == from_side::left ? split_at_space(rt, out, self.text(), std::max<std::int64_t>(most, -1))
                            : split_at_space_from_right(rt, out, self.text(), std::max<std::int64_t>(most, -1));
  } else {
    const std::string_view separator = expect_string(rt, *bound[0], "the separator of 'split'");
    if (separator.empty())
      rt.fail("the separator of 'split' is empty");
    Side == from_side::left ? split_at(rt, out, self.text(), separator, std::max<std::int64_t>(most, -1))
                            : split_at_from_right(rt, out, self.text(), separator, std::max<std::int64_t>(most, -1));
  }
  if (Side == from_side::right)
    std::reverse(out.begin(), out.end());
  return as_list(rt, out);
}

value lines(interpreter& in, const value& self, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "splitlines", args, {"keepends"}};
  const auto found = split_lines(rt, self.text());
  growing<value> out{rt.memory};
  const bool keep_ends = bound[0] != nullptr && expect_integer(rt, *bound[0], "keepends") != 0;
  for (const value& line : found) {
    const std::string_view text = self.text();
    const auto start = static_cast<std::size_t>(line.chars - text.data());
    const std::size_t end = start + line.size;
    const std::size_t ending = keep_ends && end < text.size() ? line_break_at(text, end) : 0;
    out.push(value::string(text.substr(start, line.size + ending)));
  }
  return as_list(rt, out);
}

template <from_side Side>
value partition(interpreter& in, const value& self, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "partition", args, {"*sep"}, 1};
  const std::string_view separator = expect_string(rt, *bound[0], "the separator");
  if (separator.empty())
    rt.fail("the separator is empty");
  rt.charge_bytes(self.size);
  const std::string_view text = self.text();
  const auto found = Side == from_side::left ? text.find(separator) : text.rfind(separator);
  const value nothing = value::string({});
  if (found == std::string_view::npos) {
    const value whole = value::string(text);
    const value parts[] = {Side == from_side::left ? whole : nothing, nothing,
                           Side == from_side::left ? nothing : whole};
    return make_tuple(rt, parts);
  }
  const value parts[] = {value::string(text.substr(0, found)), value::string(separator),
                         value::string(text.substr(found + separator.size()))};
  return make_tuple(rt, parts);
}

} // namespace

const filter_table& split_methods() {
  static const filter_table table{
    {"split", split<from_side::left>},         {"rsplit", split<from_side::right>},         {"splitlines", lines},
    {"partition", partition<from_side::left>}, {"rpartition", partition<from_side::right>},
  };
  return table;
}

} // namespace troupe::text::jinja
