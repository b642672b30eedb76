// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/builtins.hpp"
#include "text/jinja/interpreter.hpp"

namespace troupe::text::jinja {

scope* interpreter::make_scope(scope* parent) {
  scope* s = rt_.memory.make<scope>();
  s->parent = parent;
  return s;
}

void interpreter::define(scope& in, symbol name, const value& content) {
  for (std::uint32_t i = 0; i < in.size; ++i)
    if (in.bindings[i].name == name) {
      in.bindings[i].content = content;
      return;
    }
  if (in.size == in.capacity) {
    const std::uint32_t capacity = in.capacity == 0 ? 8 : in.capacity * 2;
    auto* grown = rt_.memory.allocate_array<binding>(capacity);
    std::copy(in.bindings, in.bindings + in.size, grown);
    in.bindings = grown;
    in.capacity = capacity;
  }
  in.bindings[in.size++] = {name, content};
}

value interpreter::look_up(symbol name, const scope& in) const {
  for (const scope* s = &in; s != nullptr; s = s->parent)
    for (std::uint32_t i = 0; i < s->size; ++i)
      if (s->bindings[i].name == name)
        return s->bindings[i].content;
  return globals_[name];
}

value interpreter::evaluate(const expression& e, scope& in) {
  rt_.charge();
  switch (e.kind) { // the cheap ones first, without a guard
    case expression_kind::literal: return e.constant;
    case expression_kind::variable: return look_up(e.name, in);
    default: break;
  }
  const depth_guard guard{rt_};
  rt_.line = e.line;
  const auto operand = [&](std::size_t i) { return evaluate(*e.operands[i], in); };
  const auto collect = [&] {
    growing<value> items{rt_.memory};
    items.reserve(e.operands.size());
    for (const expression* item : e.operands)
      items.push(evaluate(*item, in));
    return items;
  };
  switch (e.kind) {
    case expression_kind::literal:
    case expression_kind::variable: break;
    case expression_kind::list: return as_list(rt_, collect());
    case expression_kind::tuple: return as_tuple(rt_, collect());
    case expression_kind::dict: return evaluate_dict(e, in);
    case expression_kind::attribute: {
      const value object = operand(0);
      rt_.line = e.line;
      return attribute_of(object, e.text);
    }
    case expression_kind::item: {
      const value object = operand(0);
      const value key = operand(1);
      rt_.line = e.line;
      return item_of(object, key);
    }
    case expression_kind::slice: return evaluate_slice(e, in);
    case expression_kind::call: return evaluate_call(e, in);
    case expression_kind::filter: return evaluate_filter(e, in);
    case expression_kind::test: return evaluate_test(e, in);
    case expression_kind::negate: return negate(rt_, operand(0));
    case expression_kind::plus: {
      const value v = operand(0);
      return v.is(kind::real) ? v : value::number(expect_integer(rt_, v, "the operand of '+'"));
    }
    case expression_kind::logical_not: return value::boolean(!is_true(rt_, operand(0)));
    case expression_kind::logical_and: {
      const value left = operand(0);
      return is_true(rt_, left) ? operand(1) : left;
    }
    case expression_kind::logical_or: {
      const value left = operand(0);
      return is_true(rt_, left) ? left : operand(1);
    }
    case expression_kind::conditional:
      if (is_true(rt_, operand(0)))
        return operand(1);
      return e.operands[2] != nullptr ? operand(2) : value::missing("the value of an 'if' without 'else'");
    case expression_kind::arithmetic: {
      const value left = operand(0);
      const value right = operand(1);
      rt_.line = e.line;
      return calculate(rt_, e.op, left, right);
    }
    case expression_kind::concatenation: return evaluate_concatenation(e, in);
    case expression_kind::comparison: return evaluate_comparison(e, in);
  }
  return {};
}

value interpreter::evaluate_dict(const expression& e, scope& in) {
  dict_builder entries{rt_};
  for (std::size_t i = 0; i + 1 < e.operands.size(); i += 2) {
    const value key = evaluate(*e.operands[i], in);
    entries.insert(key, evaluate(*e.operands[i + 1], in));
  }
  return entries.finish();
}

value interpreter::evaluate_slice(const expression& e, scope& in) {
  const value object = evaluate(*e.operands[0], in);
  std::array<value, 3> bounds;
  std::array<const value*, 3> given{};
  for (std::size_t i = 0; i < 3; ++i)
    if (e.operands[i + 1] != nullptr) {
      bounds[i] = evaluate(*e.operands[i + 1], in);
      given[i] = &bounds[i];
    }
  rt_.line = e.line;
  return slice(rt_, object, given[0], given[1], given[2]);
}

value interpreter::evaluate_comparison(const expression& e, scope& in) {
  value left = evaluate(*e.operands[0], in);
  for (std::size_t i = 0; i < e.comparisons.size(); ++i) {
    const value right = evaluate(*e.operands[i + 1], in);
    rt_.line = e.line;
    if (!compare(rt_, e.comparisons[i], left, right))
      return value::boolean(false);
    left = right;
  }
  return value::boolean(true);
}

value interpreter::evaluate_concatenation(const expression& e, scope& in) {
  text_builder out{rt_.memory};
  for (const expression* part : e.operands)
    out += to_text(rt_, evaluate(*part, in));
  return as_string(rt_, out);
}

arguments interpreter::evaluate_arguments(const expression& e, scope& in, const keyword_argument* extra) {
  growing<value> positional{rt_.memory};
  if (e.operands.size() > 1)
    positional.reserve(e.operands.size() - 1);
  for (std::size_t i = 1; i < e.operands.size(); ++i)
    positional.push(evaluate(*e.operands[i], in));
  if (e.star != nullptr)
    for (const value& item : items_of(rt_, evaluate(*e.star, in)))
      positional.push(item);
  growing<keyword_argument> named{rt_.memory};
  for (const auto& keyword : e.keywords)
    named.push({keyword.name, evaluate(*keyword.content, in)});
  if (extra != nullptr)
    named.push(*extra);
  if (e.star_star != nullptr) {
    const value more = evaluate(*e.star_star, in);
    if (!more.is(kind::dict))
      rt_.fail("what follows '**' must be a dict, not " + std::string{type_name(more)});
    for (std::uint32_t i = 0; i < more.dict->size; ++i) {
      const auto& entry = more.dict->entries[i];
      named.push({expect_string(rt_, entry.key, "an argument's name"), entry.content});
    }
  }
  return {{positional.data(), positional.size()}, {named.data(), named.size()}};
}

value interpreter::evaluate_call(const expression& e, scope& in) {
  const value callee = evaluate(*e.operands[0], in);
  const arguments args = evaluate_arguments(e, in);
  rt_.line = e.line;
  return call(callee, args);
}

value interpreter::evaluate_filter(const expression& e, scope& in) {
  const value input = e.operands[0] != nullptr ? evaluate(*e.operands[0], in) : block_text_;
  const arguments args = evaluate_arguments(e, in);
  rt_.line = e.line;
  if (e.filter == nullptr)
    rt_.fail("there is no filter named " + in_quotes(e.text));
  return e.filter(*this, input, args);
}

value interpreter::evaluate_test(const expression& e, scope& in) {
  const value input = evaluate(*e.operands[0], in);
  const arguments args = evaluate_arguments(e, in);
  rt_.line = e.line;
  if (e.test == nullptr)
    rt_.fail("there is no test named " + in_quotes(e.text));
  return value::boolean(e.test(*this, input, args));
}

} // namespace troupe::text::jinja
