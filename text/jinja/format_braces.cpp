// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "text/jinja/builtins.hpp"
#include "text/jinja/format_spec.hpp"
#include "text/jinja/interpreter.hpp"
#include "text/jinja/unicode.hpp"

namespace troupe::text::jinja {

namespace {

format_spec parse_spec(runtime& rt, std::string_view text) {
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  format_spec spec;
  std::size_t at = 0;
  if (!text.empty()) {
    const std::size_t first = decode(text, 0).size;
    if (first < text.size() && is_align(text[first])) {
      spec.fill = text.substr(0, first);
      spec.align = text[first];
      at = first + 1;
    } else if (is_align(text[0])) {
      spec.align = text[0];
      at = 1;
    }
  }
  const auto next_is = [&](std::string_view any) {
    return at < text.size() && any.find(text[at]) != std::string_view::npos;
  };
  if (next_is("+- "))
    spec.sign = text[at++];
  if (next_is("#")) {
    spec.alternate = true;
    ++at;
  }
  if (next_is("0")) {
    ++at;
    if (spec.align == 0) {
      spec.fill = "0";
      spec.align = '=';
    }
  }
  spec.width = read_width(rt, text, at);
  if (next_is(",_"))
    spec.grouping = text[at++];
  if (next_is(".")) {
    ++at;
    if (!next_is("0123456789"))
      rt.fail("a format's precision is missing");
    spec.precision = read_width(rt, text, at);
  }
  if (next_is("sdxXobceEfFgG%"))
    spec.type = text[at++];
  if (at != text.size())
    rt.fail("format " + in_quotes(text) + " is not understood");
  return spec;
}

/// Python's "…".format(…), with the sandbox's attribute access.
class brace_formatter {
public:
  brace_formatter(interpreter& in, std::string_view format, const arguments& args)
    : in_(in), rt_(in.rt()), format_(format), args_(args), out_(in.rt().memory) {}

  value run() {
    while (at_ < format_.size()) {
      const auto brace = std::min(format_.find_first_of("{}", at_), format_.size());
      out_ += format_.substr(at_, brace - at_);
      at_ = brace;
      if (at_ == format_.size())
        break;
      const char c = format_[at_++];
      if (at_ < format_.size() && format_[at_] == c) {
        out_ += c;
        ++at_;
      } else if (c == '{') {
        field();
      } else {
        rt_.fail("a single '}' in a format string");
      }
    }
    return as_string(rt_, out_);
  }

private:
  void field() {
    rt_.charge();
    const auto end = format_.find('}', at_);
    if (end == std::string_view::npos)
      rt_.fail("a field of a format string has no end");
    std::string_view text = format_.substr(at_, end - at_);
    if (text.find('{') != std::string_view::npos)
      rt_.fail("fields inside of fields are not supported");
    at_ = end + 1;
    const std::string_view spec_text = text.find(':') != std::string_view::npos ? text.substr(text.find(':') + 1) : "";
    text = text.substr(0, text.find(':'));
    char conversion = 0;
    if (const auto mark = text.find('!'); mark != std::string_view::npos) {
      if (mark + 2 != text.size() || (text[mark + 1] != 's' && text[mark + 1] != 'r'))
        rt_.fail("a conversion of a format string is not understood");
      conversion = text[mark + 1];
      text = text.substr(0, mark);
    }
    value content = resolve(text);
    if (conversion == 's')
      content = value::string(to_text(rt_, content));
    if (conversion == 'r') {
      text_builder shown{rt_.memory};
      append_representation(rt_, shown, content);
      content = as_string(rt_, shown);
    }
    if (spec_text.empty()) {
      out_ += to_text(rt_, content);
      return;
    }
    const format_spec spec = parse_spec(rt_, spec_text);
    if (content.is(kind::undefined))
      fail_undefined(rt_, content);
    append_formatted(rt_, out_, content, spec);
  }

  value resolve(std::string_view path) {
    const std::string_view head = path.substr(0, path.find_first_of(".["));
    value content = argument(head);
    for (std::size_t at = head.size(); at < path.size();) {
      if (path[at] == '.') {
        const auto end = std::min(path.find_first_of(".[", at + 1), path.size());
        content = in_.attribute_of(content, path.substr(at + 1, end - at - 1));
        at = end;
      } else {
        const auto end = path.find(']', at);
        if (path[at] != '[' || end == std::string_view::npos)
          rt_.fail("a field of a format string is not understood");
        const std::string_view key = path.substr(at + 1, end - at - 1);
        const auto index = parse_integer(rt_, key, 10);
        content = in_.item_of(content, index && *index >= 0 ? value::number(*index) : value::string(key));
        at = end + 1;
      }
    }
    return content;
  }

  value argument(std::string_view name) {
    const auto position = name.empty() ? std::nullopt : parse_integer(rt_, name, 10);
    if (name.empty() || position) {
      if (name.empty() ? numbered_ : next_ != 0)
        rt_.fail("a format string mixes numbered and unnumbered fields");
      numbered_ = !name.empty();
      const auto i = name.empty() ? next_++ : static_cast<std::size_t>(*position);
      if (i >= args_.positional.size())
        rt_.fail("a format string wants more arguments than there are");
      return args_.positional[i];
    }
    for (const auto& keyword : args_.named)
      if (keyword.name == name)
        return keyword.content;
    rt_.fail("a format string names " + in_quotes(name) + ", which is not given");
  }

  interpreter& in_;
  runtime& rt_;
  std::string_view format_;
  const arguments& args_;
  text_builder out_;
  std::size_t at_ = 0;
  std::size_t next_ = 0;
  bool numbered_ = false;
};

} // namespace

value format_braces(interpreter& in, const value& text, const arguments& args) {
  in.rt().charge_bytes(text.size);
  return brace_formatter{in, text.text(), args}.run();
}

} // namespace troupe::text::jinja
