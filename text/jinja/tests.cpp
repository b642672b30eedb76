// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/builtins.hpp"
#include "text/jinja/interpreter.hpp"
#include "text/jinja/unicode.hpp"

namespace troupe::text::jinja {

namespace {

/// A test without arguments that looks at the value alone.
template <auto Predicate>
bool plain(interpreter& in, const value& v, const arguments& args) {
  const bound_arguments none{in.rt(), "the test", args, {}};
  return Predicate(v);
}

template <kind Type>
bool of_type(interpreter& in, const value& v, const arguments& args) {
  const bound_arguments none{in.rt(), "the test", args, {}};
  return v.is(Type);
}

template <comparison_op Op>
bool compares(interpreter& in, const value& v, const arguments& args) {
  const bound_arguments bound{in.rt(), "the test", args, {"*other"}, 1};
  return compare(in.rt(), Op, v, *bound[0]);
}

value remainder(interpreter& in, const value& v, const value& divisor) {
  return calculate(in.rt(), arithmetic_op::modulo, v, divisor);
}

template <int Rest>
bool leaves(interpreter& in, const value& v, const arguments& args) {
  const bound_arguments none{in.rt(), "the test", args, {}};
  return equal(in.rt(), remainder(in, v, value::number(std::int64_t{2})), value::number(std::int64_t{Rest}));
}

bool divisible(interpreter& in, const value& v, const arguments& args) {
  const bound_arguments bound{in.rt(), "divisibleby", args, {"num"}, 1};
  return equal(in.rt(), remainder(in, v, *bound[0]), value::number(std::int64_t{0}));
}

bool is_defined(const value& v) { return !v.is(kind::undefined); }
bool is_sequence(const value& v) {
  return v.is(kind::undefined) || v.is(kind::string) || v.is(kind::list) || v.is(kind::tuple) || v.is(kind::dict)
         || v.is(kind::range);
}
bool is_iterable(const value& v) {
  return is_sequence(v) || v.is(kind::iterator) || v.is(kind::view) || v.is(kind::loop);
}
bool is_callable(const value& v) {
  return v.is(kind::undefined) || v.is(kind::macro) || v.is(kind::method) || v.is(kind::function) || v.is(kind::loop)
         || v.is(kind::joiner);
}
bool is_number(const value& v) { return v.is_number(); }
bool is_true_itself(const value& v) { return v.is(kind::boolean) && v.truth; }
bool is_false_itself(const value& v) { return v.is(kind::boolean) && !v.truth; }
bool is_escaped(const value& v) { return v.is(kind::string) && v.marked; }

/// Python's islower() and isupper(): some letter is of that case, none of the other.
template <bool (*Wanted)(char32_t)>
bool is_case(interpreter& in, const value& v, const arguments& args) {
  const bound_arguments none{in.rt(), "the test", args, {}};
  const std::string_view text = to_text(in.rt(), v);
  in.rt().charge_bytes(text.size() * 8);
  bool some = false;
  for (std::size_t at = 0; at < text.size(); at += decode(text, at).size) {
    const char32_t c = decode(text, at).value;
    if (is_cased(c) && !Wanted(c))
      return false;
    some |= is_cased(c);
  }
  return some;
}

bool is_same(interpreter& in, const value& v, const arguments& args) {
  const bound_arguments bound{in.rt(), "sameas", args, {"other"}, 1};
  const value& other = *bound[0];
  if (v.type != other.type)
    return false;
  switch (v.type) {
    case kind::none: return true;
    case kind::boolean:
    case kind::integer:
    case kind::real:
    case kind::string: return equal(in.rt(), v, other); // Python shares small ones; nobody should rely on more
    default: return v.chars == other.chars;
  }
}

bool is_filter(interpreter& in, const value& v, const arguments& args) {
  const bound_arguments none{in.rt(), "filter", args, {}};
  return v.is(kind::string) && find_filter(v.text()) != nullptr;
}

bool is_test(interpreter& in, const value& v, const arguments& args) {
  const bound_arguments none{in.rt(), "test", args, {}};
  return v.is(kind::string) && find_test(v.text()) != nullptr;
}

using test_table = std::unordered_map<std::string_view, test_function>;

const test_table& tests() {
  static const test_table table{
    {"defined", plain<is_defined>},
    {"undefined", of_type<kind::undefined>},
    {"none", of_type<kind::none>},
    {"boolean", of_type<kind::boolean>},
    {"true", plain<is_true_itself>},
    {"false", plain<is_false_itself>},
    {"integer", of_type<kind::integer>},
    {"float", of_type<kind::real>},
    {"number", plain<is_number>},
    {"string", of_type<kind::string>},
    {"mapping", of_type<kind::dict>},
    {"sequence", plain<is_sequence>},
    {"iterable", plain<is_iterable>},
    {"callable", plain<is_callable>},
    {"escaped", plain<is_escaped>},
    {"lower", is_case<is_lower>},
    {"upper", is_case<is_upper>},
    {"sameas", is_same},
    {"filter", is_filter},
    {"test", is_test},
    {"odd", leaves<1>},
    {"even", leaves<0>},
    {"divisibleby", divisible},
    {"in", compares<comparison_op::in>},
    {"==", compares<comparison_op::equal>},
    {"eq", compares<comparison_op::equal>},
    {"equalto", compares<comparison_op::equal>},
    {"!=", compares<comparison_op::not_equal>},
    {"ne", compares<comparison_op::not_equal>},
    {">", compares<comparison_op::greater>},
    {"gt", compares<comparison_op::greater>},
    {"greaterthan", compares<comparison_op::greater>},
    {">=", compares<comparison_op::greater_equal>},
    {"ge", compares<comparison_op::greater_equal>},
    {"<", compares<comparison_op::less>},
    {"lt", compares<comparison_op::less>},
    {"lessthan", compares<comparison_op::less>},
    {"<=", compares<comparison_op::less_equal>},
    {"le", compares<comparison_op::less_equal>},
  };
  return table;
}

} // namespace

test_function find_test(std::string_view name) {
  const auto found = tests().find(name);
  return found != tests().end() ? found->second : nullptr;
}

} // namespace troupe::text::jinja
