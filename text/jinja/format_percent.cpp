// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "text/jinja/builtins.hpp"
#include "text/jinja/format_spec.hpp"

namespace troupe::text::jinja {

namespace {

/// Python's "…" % arguments.
class percent_formatter {
public:
  percent_formatter(runtime& rt, std::string_view format, const value& args)
    : rt_(rt), format_(format), args_(args), out_(rt.memory) {
    if (args.is(kind::tuple))
      positional_ = args.list();
    else
      positional_ = {&args_, 1};
  }

  value run() {
    while (at_ < format_.size()) {
      const auto percent = std::min(format_.find('%', at_), format_.size());
      out_ += format_.substr(at_, percent - at_);
      at_ = percent;
      if (at_ < format_.size()) {
        ++at_;
        conversion();
      }
    }
    // Python lets what can be subscripted go unused, as it may be there for named conversions.
    const bool maybe_named =
      args_.is(kind::dict) || args_.is(kind::list) || args_.is(kind::range) || args_.is(kind::undefined);
    if (!maybe_named && !named_ && used_ < positional_.size())
      rt_.fail("not all arguments are used by the format string");
    return as_string(rt_, out_);
  }

private:
  char peek() {
    if (at_ >= format_.size())
      rt_.fail("a format string ends inside a conversion");
    return format_[at_];
  }

  const value& take() {
    if (used_ >= positional_.size() || named_)
      rt_.fail("a format string wants more arguments than there are");
    return positional_[used_++];
  }

  const value& take_named() {
    const auto end = format_.find(')', at_);
    if (end == std::string_view::npos || !args_.is(kind::dict))
      rt_.fail("a named conversion needs a dict");
    const value* found = find(rt_, *args_.dict, format_.substr(at_, end - at_));
    if (found == nullptr)
      rt_.fail("a format string names what is not in the dict");
    at_ = end + 1;
    return *found;
  }

  std::int64_t read_number() {
    if (peek() != '*')
      return read_width(rt_, format_, at_);
    ++at_;
    const std::int64_t x = expect_integer(rt_, take(), "a format's width");
    if (x > format_width_max || x < -format_width_max)
      rt_.fail_limit("the width of a format", static_cast<std::uint64_t>(format_width_max));
    return x;
  }

  void conversion() {
    rt_.charge();
    const value* content = nullptr;
    if (peek() == '(') {
      ++at_;
      content = &take_named();
      named_ = true;
    }
    format_spec spec;
    spec.align = '>';
    bool zero = false;
    for (bool flags = true; flags;) {
      switch (peek()) {
        case '-': spec.align = '<'; break;
        case '+': spec.sign = '+'; break;
        case ' ': spec.sign = spec.sign == '+' ? '+' : ' '; break;
        case '#': spec.alternate = true; break;
        case '0': zero = true; break;
        default: flags = false; continue;
      }
      ++at_;
    }
    spec.width = read_number();
    if (spec.width < 0) {
      spec.align = '<';
      spec.width = -spec.width;
    }
    if (peek() == '.') {
      ++at_;
      spec.precision = std::max<std::int64_t>(read_number(), 0);
    }
    while (peek() == 'l' || peek() == 'h' || peek() == 'L')
      ++at_;
    const char type = peek();
    ++at_;
    if (type == '%') {
      out_ += '%';
      return;
    }
    if (content == nullptr)
      content = &take();
    append(*content, type, spec, zero && spec.align == '>');
  }

  void append(const value& content, char type, format_spec spec, bool zero) {
    switch (type) {
      case 's':
      case 'r':
      case 'a': {
        spec.type = 's';
        if (type == 's')
          return append_formatted(rt_, out_, value::string(to_text(rt_, content)), spec);
        text_builder text{rt_.memory};
        append_representation(rt_, text, content);
        return append_formatted(rt_, out_, as_string(rt_, text), spec);
      }
      case 'c':
        if (content.is(kind::string)) {
          if (length_of(rt_, content) != 1)
            rt_.fail("%c takes one character");
          spec.type = 's';
        } else {
          spec.type = 'c';
        }
        spec.precision = -1;
        return append_formatted(rt_, out_, content, spec);
      default: break;
    }
    if (!content.is_number())
      rt_.fail("%" + std::string{type} + " takes a number, not " + std::string{type_name(content)});
    if (zero) {
      spec.fill = "0";
      spec.align = '=';
    }
    append_number(content, type, spec);
  }

  void append_number(const value& content, char type, format_spec spec) {
    switch (type) {
      case 'd':
      case 'i':
      case 'u': {
        spec.type = 'd';
        if (spec.precision > 0)
          rt_.fail("a precision of an integer is not supported");
        if (!content.is(kind::real))
          return append_formatted(rt_, out_, content, spec);
        if (!(std::fabs(content.real) < 9223372036854775808.0))
          rt_.fail("the number does not fit 64 bits");
        return append_formatted(rt_, out_, value::number(static_cast<std::int64_t>(content.real)), spec);
      }
      case 'x':
      case 'X':
      case 'o':
        if (content.is(kind::real))
          rt_.fail("%" + std::string{type} + " takes an integer, not float");
        spec.type = type;
        return append_formatted(rt_, out_, content, spec);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G': spec.type = type; return append_formatted(rt_, out_, value::number(content.as_real()), spec);
      default: rt_.fail("unsupported format character '" + std::string{type} + "'");
    }
  }

  runtime& rt_;
  std::string_view format_;
  value args_;
  std::span<const value> positional_;
  text_builder out_;
  std::size_t at_ = 0;
  std::size_t used_ = 0;
  bool named_ = false;
};

} // namespace

value format_percent(runtime& rt, const value& text, const value& args) {
  rt.charge_bytes(text.size);
  return percent_formatter{rt, text.text(), args}.run();
}

} // namespace troupe::text::jinja
