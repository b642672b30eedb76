// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/ast.hpp"
#include "text/jinja/limits.hpp"
#include "text/jinja/token.hpp"

namespace troupe::text::jinja {

/// Recursive descent over the tokens; the grammar and its oddities are Jinja's. Expressions are in
/// parser_expressions.cpp, statements in parser_statements.cpp.
class parser {
public:
  parser(std::vector<token> tokens, const template_limits& limits, program& out);
  void parse_program();

private:
  // -- tokens
  const token& current() const { return tokens_[at_]; }
  const token& next() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  token take();
  bool is(token_kind kind) const { return current().kind == kind; }
  bool is_name(std::string_view name) const { return is(token_kind::name) && current().text == name; }
  bool skip_if(token_kind);
  bool skip_if_name(std::string_view);
  token expect(token_kind, std::string_view what);
  void expect_name(std::string_view);
  [[noreturn]] void fail(const std::string& message) const;

  /// Counts nesting for as long as it lives.
  struct depth_guard {
    explicit depth_guard(parser&);
    ~depth_guard() { --self.depth_; }
    depth_guard(const depth_guard&) = delete;
    parser& self;
  };

  // -- statements
  using ends = std::initializer_list<std::string_view>;
  block parse_block(ends);
  block parse_body(ends);
  statement parse_statement();
  decltype(statement::node) parse_tag(const std::string& tag);
  if_node parse_if();
  for_node parse_for();
  decltype(statement::node) parse_set();
  macro_node parse_macro();
  call_block_node parse_call_block();
  filter_block_node parse_filter_block();
  with_node parse_with();
  scope_node parse_scope(std::string_view tag);
  jump_node parse_jump(jump_node);
  void parse_signature(macro_node&);
  block parse_callable_body(macro_node&, std::string_view end);
  enum class target_form { names, names_and_attributes };
  target parse_target(target_form, std::string_view stop);
  target parse_single_target(target_form);

  // -- expressions
  enum class conditionals { allowed, left_out };
  const expression* parse_expression(conditionals = conditionals::allowed);
  const expression* parse_tuple(conditionals = conditionals::allowed, std::string_view stop = {});
  const expression* parse_tuple_in_parentheses();
  bool at_tuple_end(std::string_view stop) const;
  const expression* parse_conditional();
  using operand_parser = const expression* (parser::*)();
  /// Operands joined by a word, grouped from the left.
  const expression* parse_joined(std::string_view word, expression_kind kind, operand_parser parse_operand);
  const expression* parse_or();
  const expression* parse_and();
  const expression* parse_not();
  const expression* parse_comparison();
  std::optional<comparison_op> take_comparison();
  const expression* parse_sum();
  const expression* parse_concatenation();
  const expression* parse_product();
  const expression* parse_power();
  enum class filters { allowed, left_out };
  const expression* parse_unary(filters);
  const expression* parse_primary();
  const expression* parse_name();
  const expression* parse_list();
  const expression* parse_dict();
  const expression* parse_postfix(const expression*);
  const expression* parse_filter_chain(const expression*);
  const expression* parse_subscript(const expression*);
  const expression* parse_index();
  const expression* parse_filter(const expression*);
  const expression* parse_test(const expression*);
  void parse_arguments(expression& call);
  std::string parse_dotted_name(std::string_view what);

  // -- nodes
  expression& make(expression_kind, std::uint32_t line);
  const expression* make_arithmetic(arithmetic_op, const expression*, const expression*, std::uint32_t line);
  std::string_view keep(std::string text);
  symbol intern(std::string_view name);

  /// An unknown filter or test fails where the program is parsed, except inside `if`, where templates
  /// guard for it and it fails only if reached.
  struct unknown {
    std::string message;
    std::uint32_t line;
  };
  void forgive_unknown_since(std::size_t count) { unknown_.resize(count); }
  void fail_if_unknown_since(std::size_t count) const;

  std::vector<token> tokens_;
  std::size_t at_ = 0;
  const template_limits& limits_;
  program& out_;
  std::uint32_t depth_ = 0;
  /// Loops around the current statement within its macro.
  std::uint32_t loops_ = 0;
  /// The macro being parsed, to see which special variables it names; nullptr outside.
  macro_node* macro_ = nullptr;
  std::vector<unknown> unknown_;
};

} // namespace troupe::text::jinja
