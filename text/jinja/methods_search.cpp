// SPDX-License-Identifier: Apache-2.0
// Methods of strings that look for a part, or replace it.
#include <algorithm>

#include "text/jinja/builtin_tables.hpp"
#include "text/jinja/builtins.hpp"
#include "text/jinja/interpreter.hpp"
#include "text/jinja/text_operations.hpp"
#include "text/jinja/unicode.hpp"

namespace troupe::text::jinja {

namespace {

/// The part of a text that optional bounds leave, and where it starts, in code points.
struct window {
  std::string_view text;
  std::int64_t start = 0;
  /// The start is beyond the text's end, where not even an empty part is found.
  bool beyond = false;
};

window window_of(runtime& rt, const value& self, const value* start, const value* end) {
  const auto given = [](const value* v) { return v != nullptr && !v->is(kind::none); };
  if (!given(start) && !given(end))
    return {self.text()};
  const auto length = static_cast<std::int64_t>(length_of(rt, self));
  const auto bound = [&](const value* v, std::int64_t otherwise) {
    if (!given(v))
      return otherwise;
    const std::int64_t x = expect_integer(rt, *v, "the bound of a search");
    return x < 0 ? std::max<std::int64_t>(x + length, 0) : x;
  };
  const std::int64_t from = bound(start, 0);
  const std::int64_t to = std::min(bound(end, length), length);
  if (from > to)
    return {{}, from, true};
  const std::string_view text = self.text();
  const auto first = offset_of(text, static_cast<std::size_t>(from));
  const auto size = offset_of(text.substr(first), static_cast<std::size_t>(to - from));
  return {text.substr(first, size), from};
}

enum class direction : std::uint8_t { forwards, backwards };

std::optional<std::int64_t> search(runtime& rt, const value& self, const arguments& args, direction where) {
  const bound_arguments bound{rt, "the method", args, {"*sub", "*start", "*end"}, 1};
  const std::string_view part = expect_string(rt, *bound[0], "what to find");
  const window w = window_of(rt, self, bound[1], bound[2]);
  rt.charge_bytes(self.size);
  const auto found = where == direction::forwards ? w.text.find(part) : w.text.rfind(part);
  if (w.beyond || found == std::string_view::npos)
    return std::nullopt;
  return w.start + static_cast<std::int64_t>(count_code_points(w.text.substr(0, found)));
}

template <direction Where>
value find_part(interpreter& in, const value& self, const arguments& args) {
  return value::number(search(in.rt(), self, args, Where).value_or(-1));
}

template <direction Where>
value index_of_part(interpreter& in, const value& self, const arguments& args) {
  const auto found = search(in.rt(), self, args, Where);
  if (!found)
    in.rt().fail("the substring is not found");
  return value::number(*found);
}

value count(interpreter& in, const value& self, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "count", args, {"*sub", "*start", "*end"}, 1};
  const std::string_view part = expect_string(rt, *bound[0], "what to count");
  const window w = window_of(rt, self, bound[1], bound[2]);
  rt.charge_bytes(self.size);
  if (w.beyond)
    return value::number(std::int64_t{0});
  if (part.empty())
    return value::number(static_cast<std::int64_t>(count_code_points(w.text)) + 1);
  std::int64_t n = 0;
  for (std::size_t at = 0; (at = w.text.find(part, at)) != std::string_view::npos; at += part.size())
    ++n;
  return value::number(n);
}

template <bool (*Has)(std::string_view, std::string_view)>
value has_affix(interpreter& in, const value& self, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "the method", args, {"*affix", "*start", "*end"}, 1};
  const window w = window_of(rt, self, bound[1], bound[2]);
  const value& affix = *bound[0];
  const std::span<const value> any = affix.is(kind::tuple) ? affix.list() : std::span{&affix, 1};
  for (const value& one : any) {
    const std::string_view text = expect_string(rt, one, "the start or end of a string");
    rt.charge_bytes(text.size());
    if (!w.beyond && Has(w.text, text))
      return value::boolean(true);
  }
  return value::boolean(false);
}

bool starts(std::string_view text, std::string_view affix) { return text.starts_with(affix); }
bool ends(std::string_view text, std::string_view affix) { return text.ends_with(affix); }

value replace(interpreter& in, const value& self, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "replace", args, {"*old", "*new", "*count"}, 2};
  const std::int64_t most = bound[2] != nullptr ? expect_integer(rt, *bound[2], "the count of 'replace'") : -1;
  return replace_text(rt, self.text(), expect_string(rt, *bound[0], "what to replace"),
                      expect_string(rt, *bound[1], "the replacement"), most);
}

value remove_prefix(interpreter& in, const value& self, const arguments& args) {
  const bound_arguments bound{in.rt(), "removeprefix", args, {"*prefix"}, 1};
  const std::string_view prefix = expect_string(in.rt(), *bound[0], "the prefix");
  const std::string_view text = self.text();
  return value::string(text.starts_with(prefix) ? text.substr(prefix.size()) : text);
}

value remove_suffix(interpreter& in, const value& self, const arguments& args) {
  const bound_arguments bound{in.rt(), "removesuffix", args, {"*suffix"}, 1};
  const std::string_view suffix = expect_string(in.rt(), *bound[0], "the suffix");
  const std::string_view text = self.text();
  return value::string(text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : text);
}

value join(interpreter& in, const value& self, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "join", args, {"*iterable"}, 1};
  text_builder out{rt.memory};
  bool is_first = true;
  for (const value& item : items_of(rt, *bound[0])) {
    rt.charge();
    if (!is_first)
      out += self.text();
    is_first = false;
    out += expect_string(rt, item, "an item to join");
  }
  return as_string(rt, out);
}

value format(interpreter& in, const value& self, const arguments& args) { return format_braces(in, self, args); }

} // namespace

const filter_table& search_methods() {
  static const filter_table table{
    {"find", find_part<direction::forwards>},
    {"rfind", find_part<direction::backwards>},
    {"index", index_of_part<direction::forwards>},
    {"rindex", index_of_part<direction::backwards>},
    {"count", count},
    {"startswith", has_affix<starts>},
    {"endswith", has_affix<ends>},
    {"replace", replace},
    {"removeprefix", remove_prefix},
    {"removesuffix", remove_suffix},
    {"join", join},
    {"format", format},
  };
  return table;
}

} // namespace troupe::text::jinja
