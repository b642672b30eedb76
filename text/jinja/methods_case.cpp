// SPDX-License-Identifier: Apache-2.0
// Methods of strings that change case, strip or pad, and those that ask what the characters are.
#include "text/jinja/builtin_tables.hpp"
#include "text/jinja/builtins.hpp"
#include "text/jinja/interpreter.hpp"
#include "text/jinja/text_operations.hpp"
#include "text/jinja/unicode.hpp"

namespace troupe::text::jinja {

namespace {

template <letter_case To>
value change_case(interpreter& in, const value& self, const arguments& args) {
  const bound_arguments none{in.rt(), "the method", args, {}};
  return convert_case(in.rt(), self.text(), To);
}

value capitalize(interpreter& in, const value& self, const arguments& args) {
  const bound_arguments none{in.rt(), "capitalize", args, {}};
  return capitalize_text(in.rt(), self.text());
}

/// A letter after what is no letter is raised, every other one lowered.
value title(interpreter& in, const value& self, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments none{rt, "title", args, {}};
  const std::string_view text = self.text();
  rt.charge_bytes(text.size() * 8);
  text_builder out{rt.memory};
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const auto c = decode(text, at);
    out += to_case(text.substr(at, c.size), inside ? letter_case::lower : letter_case::title);
    inside = is_cased(c.value);
    at += c.size;
  }
  return as_string(rt, out);
}

value swap_case(interpreter& in, const value& self, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments none{rt, "swapcase", args, {}};
  const std::string_view text = self.text();
  rt.charge_bytes(text.size() * 8);
  text_builder out{rt.memory};
  for (std::size_t at = 0; at < text.size();) {
    const auto c = decode(text, at);
    out += to_case(text.substr(at, c.size), is_upper(c.value) ? letter_case::lower : letter_case::upper);
    at += c.size;
  }
  return as_string(rt, out);
}

template <strip_sides Sides>
value strip(interpreter& in, const value& self, const arguments& args) {
  const bound_arguments bound{in.rt(), "strip", args, {"*chars"}};
  return strip_text(in.rt(), self.text(), bound[0], Sides);
}

template <text_side Side>
value pad(interpreter& in, const value& self, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "the method", args, {"*width", "*fill"}, 1};
  const std::string_view fill = bound[1] != nullptr ? expect_string(rt, *bound[1], "the fill") : " ";
  return pad_text(rt, self.text(), expect_integer(rt, *bound[0], "the width"), fill, Side);
}

value zero_fill(interpreter& in, const value& self, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "zfill", args, {"*width"}, 1};
  const std::int64_t width = expect_integer(rt, *bound[0], "the width");
  const std::string_view text = self.text();
  const bool has_sign = text.starts_with('-') || text.starts_with('+');
  const value padded =
    pad_text(rt, text.substr(has_sign ? 1 : 0), has_sign && width > 0 ? width - 1 : width, "0", text_side::right);
  text_builder out{rt.memory};
  out += text.substr(0, has_sign ? 1 : 0);
  out += padded.text();
  return as_string(rt, out);
}

/// True if the text is not empty and every character passes.
template <auto Predicate>
value all_are(interpreter& in, const value& self, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments none{rt, "the method", args, {}};
  const std::string_view text = self.text();
  rt.charge_bytes(text.size() * 8);
  for (std::size_t at = 0; at < text.size(); at += decode(text, at).size)
    if (!Predicate(decode(text, at).value))
      return value::boolean(false);
  return value::boolean(!text.empty());
}

bool is_alphanumeric(char32_t c) { return is_alpha(c) || is_numeric(c); }

value is_ascii(interpreter& in, const value& self, const arguments& args) {
  const bound_arguments none{in.rt(), "isascii", args, {}};
  in.rt().charge_bytes(self.size);
  for (const char c : self.text())
    if (static_cast<unsigned char>(c) >= 0x80)
      return value::boolean(false);
  return value::boolean(true);
}

/// Cased letters exist, and all of them are of that case.
template <bool (*Wanted)(char32_t)>
value is_case(interpreter& in, const value& self, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments none{rt, "the method", args, {}};
  const std::string_view text = self.text();
  rt.charge_bytes(text.size() * 8);
  bool some = false;
  for (std::size_t at = 0; at < text.size(); at += decode(text, at).size) {
    const char32_t c = decode(text, at).value;
    if (is_cased(c) && !Wanted(c))
      return value::boolean(false);
    some |= is_cased(c);
  }
  return value::boolean(some);
}

value is_title(interpreter& in, const value& self, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments none{rt, "istitle", args, {}};
  const std::string_view text = self.text();
  rt.charge_bytes(text.size() * 8);
  bool inside = false;
  bool some = false;
  for (std::size_t at = 0; at < text.size(); at += decode(text, at).size) {
    const char32_t c = decode(text, at).value;
    if (is_cased(c) && is_lower(c) != inside)
      return value::boolean(false);
    inside = is_cased(c);
    some |= inside;
  }
  return value::boolean(some);
}

} // namespace

const filter_table& case_methods() {
  static const filter_table table{
    {"upper", change_case<letter_case::upper>},
    {"lower", change_case<letter_case::lower>},
    {"casefold", change_case<letter_case::fold>},
    {"capitalize", capitalize},
    {"title", title},
    {"swapcase", swap_case},
    {"strip", strip<strip_sides::both>},
    {"lstrip", strip<strip_sides::left>},
    {"rstrip", strip<strip_sides::right>},
    {"ljust", pad<text_side::left>},
    {"rjust", pad<text_side::right>},
    {"center", pad<text_side::center>},
    {"zfill", zero_fill},
    {"isalpha", all_are<is_alpha>},
    {"isalnum", all_are<is_alphanumeric>},
    {"isdigit", all_are<is_digit>},
    {"isdecimal", all_are<is_decimal>},
    {"isnumeric", all_are<is_numeric>},
    {"isspace", all_are<is_space>},
    {"isascii", is_ascii},
    {"isupper", is_case<is_upper>},
    {"islower", is_case<is_lower>},
    {"istitle", is_title},
  };
  return table;
}

} // namespace troupe::text::jinja
