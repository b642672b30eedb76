// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/attribute_path.hpp"
#include "text/jinja/builtin_tables.hpp"
#include "text/jinja/builtins.hpp"
#include "text/jinja/interpreter.hpp"

namespace troupe::text::jinja {

namespace {

enum class keep : std::uint8_t { passing, failing };

/// select(test, arguments …) and, with an attribute before the test, selectattr.
enum class subject : std::uint8_t { item, attribute };

value choose(interpreter& in, const value& input, arguments args, subject what, keep which) {
  auto& rt = in.rt();
  return generate(rt, [&](growing<value>& out) {
    if (!is_true(rt, input))
      return;
    const value* attribute = nullptr;
    if (what == subject::attribute) {
      if (args.positional.empty())
        rt.fail("the attribute's name is missing");
      attribute = &args.positional[0];
      args.positional = args.positional.subspan(1);
    }
    const attribute_path path{rt, attribute};
    std::optional<std::string_view> name;
    test_function test = nullptr;
    if (!args.positional.empty()) {
      name = expect_string(rt, args.positional[0], "a test's name");
      test = find_test(*name);
      args.positional = args.positional.subspan(1);
    }
    for (const value& item : items_of(rt, input)) {
      rt.charge();
      const value tested = path.of(in, item);
      if (name && test == nullptr)
        rt.fail("there is no test named " + in_quotes(*name));
      const bool passes = test != nullptr ? test(in, tested, args) : is_true(rt, tested);
      if (passes == (which == keep::passing))
        out.push(item);
    }
  });
}

value select(interpreter& in, const value& input, const arguments& args) {
  return choose(in, input, args, subject::item, keep::passing);
}

value reject(interpreter& in, const value& input, const arguments& args) {
  return choose(in, input, args, subject::item, keep::failing);
}

value select_attribute(interpreter& in, const value& input, const arguments& args) {
  return choose(in, input, args, subject::attribute, keep::passing);
}

value reject_attribute(interpreter& in, const value& input, const arguments& args) {
  return choose(in, input, args, subject::attribute, keep::failing);
}

value map(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  return generate(rt, [&](growing<value>& out) {
    if (!is_true(rt, input))
      return;
    if (args.positional.empty()) {
      const bound_arguments bound{rt, "map", args, {"attribute", "default"}, 1};
      const attribute_path path{rt, bound[0]};
      for (const value& item : items_of(rt, input))
        out.push(path.of(in, item, bound[1]));
      return;
    }
    const std::string_view name = expect_string(rt, args.positional[0], "a filter's name");
    const filter_function filter = find_filter(name);
    const arguments rest{args.positional.subspan(1), args.named};
    for (const value& item : items_of(rt, input)) {
      rt.charge();
      if (filter == nullptr)
        rt.fail("there is no filter named " + in_quotes(name));
      out.push(filter(in, item, rest));
    }
  });
}

value otherwise(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "default", args, {"default_value", "boolean"}};
  const bool any_false = bound[1] != nullptr && is_true(rt, *bound[1]);
  if (input.is(kind::undefined) || (any_false && !is_true(rt, input)))
    return bound[0] != nullptr ? *bound[0] : value::string({});
  return input;
}

value attribute(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "attr", args, {"name"}, 1};
  const std::string_view name = expect_string(rt, *bound[0], "an attribute's name");
  // Unlike the dot, it never looks among a dict's keys.
  if (input.is(kind::dict) && find_method(kind::dict, name) == nullptr)
    return value::missing(name);
  return in.attribute_of(input, name);
}

} // namespace

const filter_table& selection_filters() {
  static const filter_table table{
    {"select", select},
    {"reject", reject},
    {"selectattr", select_attribute},
    {"rejectattr", reject_attribute},
    {"map", map},
    {"default", otherwise},
    {"d", otherwise},
    {"attr", attribute},
  };
  return table;
}

} // namespace troupe::text::jinja
