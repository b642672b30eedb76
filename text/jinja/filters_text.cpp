// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/builtin_tables.hpp"
#include "text/jinja/builtins.hpp"
#include "text/jinja/interpreter.hpp"
#include "text/jinja/text_operations.hpp"
#include "text/jinja/unicode.hpp"

namespace troupe::text::jinja {

value escape_html(runtime& rt, const value& v) {
  if (v.is(kind::string) && v.marked)
    return v;
  text_builder out{rt.memory};
  for (const char c : to_text(rt, v)) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&#34;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  value escaped = as_string(rt, out);
  escaped.marked = true;
  return escaped;
}

namespace {

value change_case(interpreter& in, const value& input, const arguments& args, std::string_view name, letter_case to) {
  const bound_arguments none{in.rt(), name, args, {}};
  return convert_case(in.rt(), to_text(in.rt(), input), to);
}

value upper(interpreter& in, const value& input, const arguments& args) {
  return change_case(in, input, args, "upper", letter_case::upper);
}

value lower(interpreter& in, const value& input, const arguments& args) {
  return change_case(in, input, args, "lower", letter_case::lower);
}

value capitalize(interpreter& in, const value& input, const arguments& args) {
  const bound_arguments none{in.rt(), "capitalize", args, {}};
  return capitalize_text(in.rt(), to_text(in.rt(), input));
}

bool begins_word(char32_t c) { return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || is_space(c); }

value title(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments none{rt, "title", args, {}};
  const std::string_view text = to_text(rt, input);
  rt.charge_bytes(text.size() * 8);
  text_builder out{rt.memory};
  std::size_t at = 0;
  while (at < text.size()) {
    // A run of separators is left alone, like the first letter after it is raised.
    std::size_t end = at;
    const bool separators = begins_word(decode(text, at).value);
    while (end < text.size() && begins_word(decode(text, end).value) == separators)
      end += decode(text, end).size;
    const std::size_t first = decode(text, at).size;
    out += to_case(text.substr(at, first), letter_case::upper);
    out += to_case(text.substr(at + first, end - at - first), letter_case::lower);
    at = end;
  }
  return as_string(rt, out);
}

value trim(interpreter& in, const value& input, const arguments& args) {
  const bound_arguments bound{in.rt(), "trim", args, {"chars"}};
  return strip_text(in.rt(), to_text(in.rt(), input), bound[0], strip_sides::both);
}

value replace(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "replace", args, {"old", "new", "count"}, 2};
  const bool limited = bound[2] != nullptr && !bound[2]->is(kind::none);
  return replace_text(rt, to_text(rt, input), to_text(rt, *bound[0]), to_text(rt, *bound[1]),
                      limited ? expect_integer(rt, *bound[2], "the count of 'replace'") : -1);
}

value string(interpreter& in, const value& input, const arguments& args) {
  const bound_arguments none{in.rt(), "string", args, {}};
  return input.is(kind::string) ? input : value::string(to_text(in.rt(), input));
}

value escape(interpreter& in, const value& input, const arguments& args) {
  const bound_arguments none{in.rt(), "escape", args, {}};
  return escape_html(in.rt(), input);
}

value force_escape(interpreter& in, const value& input, const arguments& args) {
  const bound_arguments none{in.rt(), "forceescape", args, {}};
  return escape_html(in.rt(), value::string(to_text(in.rt(), input)));
}

value safe(interpreter& in, const value& input, const arguments& args) {
  const bound_arguments none{in.rt(), "safe", args, {}};
  value marked = value::string(to_text(in.rt(), input));
  marked.marked = true;
  return marked;
}

value indent(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "indent", args, {"width", "first", "blank"}};
  const std::string_view text = expect_string(rt, input, "the input of 'indent'");
  value indention = value::string("    ");
  if (bound[0] != nullptr && bound[0]->is(kind::string))
    indention = *bound[0];
  else if (bound[0] != nullptr)
    indention = calculate(rt, arithmetic_op::multiply, value::string(" "),
                          value::number(expect_integer(rt, *bound[0], "the width of 'indent'")));
  const bool first = bound[1] != nullptr && is_true(rt, *bound[1]);
  const bool blank = bound[2] != nullptr && is_true(rt, *bound[2]);
  text_builder out{rt.memory};
  if (first)
    out += indention.text();
  const auto lines = split_lines(rt, text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i != 0)
      out += '\n';
    if (i != 0 && (blank || lines[i].size != 0))
      out += indention.text();
    out += lines[i].text();
  }
  if (ends_in_line_break(text)) { // a last, empty line
    out += '\n';
    if (blank)
      out += indention.text();
  }
  return as_string(rt, out);
}

value center(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "center", args, {"width"}};
  const std::int64_t width = bound[0] != nullptr ? expect_integer(rt, *bound[0], "the width of 'center'") : 80;
  return pad_text(rt, to_text(rt, input), width, " ", text_side::center);
}

value truncate(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "truncate", args, {"length", "killwords", "end", "leeway"}};
  const std::string_view end = bound[2] != nullptr ? expect_string(rt, *bound[2], "the end of 'truncate'") : "...";
  const std::int64_t length = bound[0] != nullptr ? expect_integer(rt, *bound[0], "the length of 'truncate'") : 255;
  const bool has_leeway = bound[3] != nullptr && !bound[3]->is(kind::none);
  const std::int64_t leeway = has_leeway ? expect_integer(rt, *bound[3], "the leeway of 'truncate'") : 5;
  const auto end_length = static_cast<std::int64_t>(count_code_points(end));
  if (length < end_length || leeway < 0)
    rt.fail("the length of 'truncate' is too small");
  const auto size = static_cast<std::int64_t>(length_of(rt, input));
  if (size <= length || size - length <= leeway)
    return input;
  const std::string_view text = expect_string(rt, input, "the input of 'truncate'");
  std::string_view kept = text.substr(0, offset_of(text, static_cast<std::size_t>(length - end_length)));
  const bool kill_words = bound[1] != nullptr && is_true(rt, *bound[1]);
  if (const auto space = kept.rfind(' '); !kill_words && space != std::string_view::npos)
    kept = kept.substr(0, space);
  text_builder out{rt.memory};
  out += kept;
  out += end;
  return as_string(rt, out);
}

value word_count(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments none{rt, "wordcount", args, {}};
  const std::string_view text = to_text(rt, input);
  rt.charge_bytes(text.size() * 8);
  std::int64_t count = 0;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const auto c = decode(text, at);
    const bool word = is_alpha(c.value) || is_numeric(c.value) || c.value == '_';
    count += word && !inside ? 1 : 0;
    inside = word;
    at += c.size;
  }
  return value::number(count);
}

value format(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  if (!args.positional.empty() && !args.named.empty())
    rt.fail("'format' takes either positional or named arguments");
  const value text = value::string(to_text(rt, input));
  if (args.named.empty())
    return format_percent(rt, text, make_tuple(rt, args.positional));
  dict_builder named{rt};
  for (const auto& keyword : args.named)
    named.insert(value::string(keyword.name), keyword.content);
  return format_percent(rt, text, named.finish());
}

value to_json(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  // As transformers defines it, not Jinja's own.
  const bound_arguments bound{rt, "tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"}};
  json_format format;
  format.ascii = bound[0] != nullptr && is_true(rt, *bound[0]);
  format.sorted = bound[3] != nullptr && is_true(rt, *bound[3]);
  if (bound[1] != nullptr && !bound[1]->is(kind::none)) {
    const value width = bound[1]->is(kind::string)
                          ? *bound[1]
                          : calculate(rt, arithmetic_op::multiply, value::string(" "),
                                      value::number(expect_integer(rt, *bound[1], "the indent of 'tojson'")));
    format.indent = width.text();
    format.item_separator = ",";
  }
  if (bound[2] != nullptr && !bound[2]->is(kind::none)) {
    const auto separators = items_of(rt, *bound[2]);
    if (separators.size() != 2)
      rt.fail("'tojson' takes two separators");
    format.item_separator = expect_string(rt, separators[0], "a separator");
    format.key_separator = expect_string(rt, separators[1], "a separator");
  }
  text_builder out{rt.memory};
  append_json(rt, out, input, format);
  return as_string(rt, out);
}

} // namespace

const filter_table& text_filters() {
  static const filter_table table{
    {"upper", upper},
    {"lower", lower},
    {"capitalize", capitalize},
    {"title", title},
    {"trim", trim},
    {"replace", replace},
    {"string", string},
    {"escape", escape},
    {"e", escape},
    {"safe", safe},
    {"forceescape", force_escape},
    {"indent", indent},
    {"center", center},
    {"truncate", truncate},
    {"wordcount", word_count},
    {"format", format},
    {"tojson", to_json},
  };
  return table;
}

} // namespace troupe::text::jinja
