// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/builtins.hpp"
#include "text/jinja/error.hpp"
#include "text/jinja/parser_state.hpp"

namespace troupe::text::jinja {

const expression* parser::parse_expression(conditionals form) {
  const depth_guard guard{*this};
  return form == conditionals::allowed ? parse_conditional() : parse_or();
}

bool parser::at_tuple_end(std::string_view stop) const {
  return is(token_kind::variable_end) || is(token_kind::block_end) || is(token_kind::paren_close)
         || (!stop.empty() && is_name(stop));
}

const expression* parser::parse_tuple(conditionals form, std::string_view stop) {
  std::uint32_t line = current().line;
  std::vector<const expression*> items;
  bool tuple = false;
  while (true) {
    if (!items.empty())
      expect(token_kind::comma, "','");
    if (at_tuple_end(stop))
      break;
    items.push_back(parse_expression(form));
    if (!is(token_kind::comma))
      break;
    tuple = true;
    line = current().line;
  }
  if (!tuple) {
    if (items.empty())
      fail("expected an expression, got " + describe(current()));
    return items[0];
  }
  expression& node = make(expression_kind::tuple, line);
  node.operands = std::move(items);
  return &node;
}

const expression* parser::parse_tuple_in_parentheses() {
  const std::uint32_t line = take().line;
  const expression* inside = is(token_kind::paren_close) ? &make(expression_kind::tuple, line) : parse_tuple();
  expect(token_kind::paren_close, "')'");
  return inside;
}

const expression* parser::parse_conditional() {
  const std::size_t unknown_before = unknown_.size();
  const expression* left = parse_or();
  while (is_name("if")) {
    const std::uint32_t line = take().line;
    const expression* condition = parse_or();
    const expression* otherwise = skip_if_name("else") ? parse_expression() : nullptr;
    expression& node = make(expression_kind::conditional, line);
    node.operands = {condition, left, otherwise};
    left = &node;
    forgive_unknown_since(unknown_before);
  }
  return left;
}

const expression* parser::parse_joined(std::string_view word, expression_kind kind, operand_parser parse_operand) {
  const expression* left = (this->*parse_operand)();
  while (is_name(word)) {
    const std::uint32_t line = take().line;
    const expression* right = (this->*parse_operand)();
    expression& node = make(kind, line);
    node.operands = {left, right};
    left = &node;
  }
  return left;
}

const expression* parser::parse_or() { return parse_joined("or", expression_kind::logical_or, &parser::parse_and); }

const expression* parser::parse_and() { return parse_joined("and", expression_kind::logical_and, &parser::parse_not); }

const expression* parser::parse_not() {
  if (!is_name("not"))
    return parse_comparison();
  const depth_guard guard{*this};
  const std::uint32_t line = take().line;
  const expression* operand = parse_not();
  expression& node = make(expression_kind::logical_not, line);
  node.operands = {operand};
  return &node;
}

std::optional<comparison_op> parser::take_comparison() {
  const auto taken = [this](comparison_op op) { return take(), op; };
  switch (current().kind) {
    case token_kind::equal: return taken(comparison_op::equal);
    case token_kind::not_equal: return taken(comparison_op::not_equal);
    case token_kind::less: return taken(comparison_op::less);
    case token_kind::less_equal: return taken(comparison_op::less_equal);
    case token_kind::greater: return taken(comparison_op::greater);
    case token_kind::greater_equal: return taken(comparison_op::greater_equal);
    default: break;
  }
  if (skip_if_name("in"))
    return comparison_op::in;
  if (is_name("not") && next().kind == token_kind::name && next().text == "in")
    return take(), taken(comparison_op::not_in);
  return std::nullopt;
}

const expression* parser::parse_comparison() {
  const std::uint32_t line = current().line;
  const expression* first = parse_sum();
  expression* node = nullptr;
  while (const auto op = take_comparison()) {
    if (node == nullptr) {
      node = &make(expression_kind::comparison, line);
      node->operands = {first};
    }
    node->comparisons.push_back(*op);
    node->operands.push_back(parse_sum());
  }
  return node != nullptr ? node : first;
}

const expression* parser::parse_sum() {
  const expression* left = parse_concatenation();
  while (is(token_kind::plus) || is(token_kind::minus)) {
    const token op = take();
    left = make_arithmetic(op.kind == token_kind::plus ? arithmetic_op::add : arithmetic_op::subtract, left,
                           parse_concatenation(), op.line);
  }
  return left;
}

const expression* parser::parse_concatenation() {
  const std::uint32_t line = current().line;
  const expression* first = parse_product();
  if (!is(token_kind::tilde))
    return first;
  expression& node = make(expression_kind::concatenation, line);
  node.operands = {first};
  while (skip_if(token_kind::tilde))
    node.operands.push_back(parse_product());
  return &node;
}

const expression* parser::parse_product() {
  const auto op_of = [](token_kind kind) -> std::optional<arithmetic_op> {
    switch (kind) {
      case token_kind::star: return arithmetic_op::multiply;
      case token_kind::slash: return arithmetic_op::divide;
      case token_kind::slash_slash: return arithmetic_op::floor_divide;
      case token_kind::percent: return arithmetic_op::modulo;
      default: return std::nullopt;
    }
  };
  const expression* left = parse_power();
  while (const auto op = op_of(current().kind)) {
    const std::uint32_t line = take().line;
    left = make_arithmetic(*op, left, parse_power(), line);
  }
  return left;
}

const expression* parser::parse_power() {
  const expression* left = parse_unary(filters::allowed);
  while (is(token_kind::star_star)) {
    const std::uint32_t line = take().line;
    left = make_arithmetic(arithmetic_op::power, left, parse_unary(filters::allowed), line);
  }
  return left;
}

const expression* parser::parse_unary(filters form) {
  const depth_guard guard{*this};
  const expression* operand = nullptr;
  if (is(token_kind::minus) || is(token_kind::plus)) {
    const token sign = take();
    const expression* inner = parse_unary(filters::left_out);
    expression& node =
      make(sign.kind == token_kind::minus ? expression_kind::negate : expression_kind::plus, sign.line);
    node.operands = {inner};
    operand = &node;
  } else {
    operand = parse_primary();
  }
  operand = parse_postfix(operand);
  return form == filters::allowed ? parse_filter_chain(operand) : operand;
}

const expression* parser::parse_primary() {
  const auto literal = [this](const token& t, value constant) {
    expression& node = make(expression_kind::literal, t.line);
    node.constant = constant;
    return &node;
  };
  switch (current().kind) {
    case token_kind::name: return parse_name();
    case token_kind::integer: {
      const token t = take();
      return literal(t, value::number(t.integer));
    }
    case token_kind::real: {
      const token t = take();
      return literal(t, value::number(t.real));
    }
    case token_kind::string: {
      token t = take();
      while (is(token_kind::string))
        t.text += take().text;
      return literal(t, value::string(keep(std::move(t.text))));
    }
    case token_kind::paren_open: return parse_tuple_in_parentheses();
    case token_kind::bracket_open: return parse_list();
    case token_kind::brace_open: return parse_dict();
    default: fail("unexpected " + describe(current()));
  }
}

const expression* parser::parse_name() {
  const token t = take();
  expression& node = make(expression_kind::literal, t.line);
  if (t.text == "true" || t.text == "True") {
    node.constant = value::boolean(true);
  } else if (t.text == "false" || t.text == "False") {
    node.constant = value::boolean(false);
  } else if (t.text == "none" || t.text == "None") {
    node.constant = value::none();
  } else {
    node.kind = expression_kind::variable;
    node.name = intern(t.text);
    if (macro_ != nullptr) {
      macro_->uses_varargs |= node.name == out_.varargs;
      macro_->uses_kwargs |= node.name == out_.kwargs;
      macro_->uses_caller |= node.name == out_.caller;
    }
  }
  return &node;
}

const expression* parser::parse_list() {
  expression& node = make(expression_kind::list, take().line);
  while (!is(token_kind::bracket_close)) {
    if (!node.operands.empty())
      expect(token_kind::comma, "',' or ']'");
    if (is(token_kind::bracket_close))
      break;
    node.operands.push_back(parse_expression());
  }
  take();
  return &node;
}

const expression* parser::parse_dict() {
  expression& node = make(expression_kind::dict, take().line);
  while (!is(token_kind::brace_close)) {
    if (!node.operands.empty())
      expect(token_kind::comma, "',' or '}'");
    if (is(token_kind::brace_close))
      break;
    node.operands.push_back(parse_expression());
    expect(token_kind::colon, "':'");
    node.operands.push_back(parse_expression());
  }
  take();
  return &node;
}

const expression* parser::parse_postfix(const expression* operand) {
  while (true) {
    if (is(token_kind::dot) || is(token_kind::bracket_open)) {
      operand = parse_subscript(operand);
    } else if (is(token_kind::paren_open)) {
      expression& node = make(expression_kind::call, current().line);
      node.operands = {operand};
      parse_arguments(node);
      operand = &node;
    } else {
      return operand;
    }
  }
}

const expression* parser::parse_filter_chain(const expression* operand) {
  while (true) {
    if (is(token_kind::pipe)) {
      take();
      operand = parse_filter(operand);
    } else if (is_name("is")) {
      operand = parse_test(operand);
    } else if (is(token_kind::paren_open)) {
      expression& node = make(expression_kind::call, current().line);
      node.operands = {operand};
      parse_arguments(node);
      operand = &node;
    } else {
      return operand;
    }
  }
}

const expression* parser::parse_subscript(const expression* object) {
  const token opener = take();
  if (opener.kind == token_kind::dot) {
    const token name = take();
    if (name.kind == token_kind::name) {
      expression& node = make(expression_kind::attribute, opener.line);
      node.operands = {object};
      node.text = keep(name.text);
      return &node;
    }
    if (name.kind != token_kind::integer)
      fail("expected a name or number after '.'");
    expression& index = make(expression_kind::literal, name.line);
    index.constant = value::number(name.integer);
    expression& node = make(expression_kind::item, opener.line);
    node.operands = {object, &index};
    return &node;
  }
  std::vector<const expression*> indices;
  while (!is(token_kind::bracket_close)) {
    if (!indices.empty())
      expect(token_kind::comma, "',' or ']'");
    indices.push_back(parse_index());
  }
  take();
  const bool slice =
    indices.size() == 1 && indices[0]->kind == expression_kind::slice && indices[0]->operands[0] == nullptr;
  if (slice) {
    // parse_index left the object's place empty
    expression& node = make(expression_kind::slice, opener.line);
    node.operands = indices[0]->operands;
    node.operands[0] = object;
    return &node;
  }
  const expression* index = indices.size() == 1 ? indices[0] : nullptr;
  if (index == nullptr) {
    expression& tuple = make(expression_kind::tuple, opener.line);
    tuple.operands = std::move(indices);
    index = &tuple;
  }
  expression& node = make(expression_kind::item, opener.line);
  node.operands = {object, index};
  return &node;
}

const expression* parser::parse_index() {
  const std::uint32_t line = current().line;
  const expression* start = is(token_kind::colon) ? nullptr : parse_expression();
  if (!is(token_kind::colon))
    return start;
  take();
  const auto at_end = [this] { return is(token_kind::bracket_close) || is(token_kind::comma); };
  const expression* stop = at_end() || is(token_kind::colon) ? nullptr : parse_expression();
  const expression* step = skip_if(token_kind::colon) && !at_end() ? parse_expression() : nullptr;
  expression& node = make(expression_kind::slice, line);
  node.operands = {nullptr, start, stop, step};
  return &node;
}

std::string parser::parse_dotted_name(std::string_view what) {
  std::string name = expect(token_kind::name, what).text;
  while (skip_if(token_kind::dot))
    name += "." + expect(token_kind::name, what).text;
  return name;
}

const expression* parser::parse_filter(const expression* input) {
  const std::uint32_t line = current().line;
  std::string name = parse_dotted_name("a filter's name");
  expression& node = make(expression_kind::filter, line);
  node.operands = {input};
  node.filter = find_filter(name);
  if (node.filter == nullptr)
    unknown_.push_back({"there is no filter named " + in_quotes(name), line});
  node.text = keep(std::move(name));
  if (is(token_kind::paren_open))
    parse_arguments(node);
  return &node;
}

const expression* parser::parse_test(const expression* input) {
  const std::uint32_t line = take().line;
  const bool negated = skip_if_name("not");
  std::string name = parse_dotted_name("a test's name");
  expression& node = make(expression_kind::test, line);
  node.operands = {input};
  node.test = find_test(name);
  if (node.test == nullptr)
    unknown_.push_back({"there is no test named " + in_quotes(name), line});
  node.text = keep(std::move(name));
  const token_kind kind = current().kind;
  const bool literal = kind == token_kind::string || kind == token_kind::integer || kind == token_kind::real
                       || kind == token_kind::bracket_open || kind == token_kind::brace_open;
  if (kind == token_kind::paren_open) {
    parse_arguments(node);
  } else if (literal || (kind == token_kind::name && !is_name("else") && !is_name("or") && !is_name("and"))) {
    if (is_name("is"))
      fail("tests cannot be chained with 'is'");
    const depth_guard guard{*this};
    node.operands.push_back(parse_postfix(parse_primary()));
  }
  if (!negated)
    return &node;
  expression& inverse = make(expression_kind::logical_not, line);
  inverse.operands = {&node};
  return &inverse;
}

void parser::parse_arguments(expression& call) {
  const auto ensure = [this](bool ok) {
    if (!ok)
      fail("arguments are in the wrong order");
  };
  expect(token_kind::paren_open, "'('");
  for (bool first = true; !is(token_kind::paren_close); first = false) {
    if (!first) {
      expect(token_kind::comma, "',' or ')'");
      if (is(token_kind::paren_close))
        break;
    }
    if (skip_if(token_kind::star)) {
      ensure(call.star == nullptr && call.star_star == nullptr);
      call.star = parse_expression();
    } else if (skip_if(token_kind::star_star)) {
      ensure(call.star_star == nullptr);
      call.star_star = parse_expression();
    } else if (is(token_kind::name) && next().kind == token_kind::assign) {
      ensure(call.star_star == nullptr);
      const std::string_view name = keep(take().text);
      take();
      for (const auto& other : call.keywords)
        if (other.name == name)
          fail("argument " + in_quotes(name) + " is given twice");
      call.keywords.push_back({name, parse_expression()});
    } else {
      ensure(call.star == nullptr && call.star_star == nullptr && call.keywords.empty());
      call.operands.push_back(parse_expression());
    }
  }
  take();
}

} // namespace troupe::text::jinja
