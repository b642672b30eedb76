// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "text/jinja/error.hpp"
#include "text/jinja/lexer.hpp"
#include "text/jinja/parser.hpp"
#include "text/jinja/parser_state.hpp"
#include "text/jinja/scope_analysis.hpp"

namespace troupe::text::jinja {

parser::parser(std::vector<token> tokens, const template_limits& limits, program& out)
  : tokens_(std::move(tokens)), limits_(limits), out_(out) {
  out_.loop = intern("loop");
  out_.caller = intern("caller");
  out_.varargs = intern("varargs");
  out_.kwargs = intern("kwargs");
}

parser::depth_guard::depth_guard(parser& p) : self(p) {
  if (self.depth_ >= self.limits_.depth_max)
    throw fault{{template_errc::limit_exceeded,
                 "depth_max (" + std::to_string(self.limits_.depth_max) + ") is exceeded while parsing",
                 self.current().line}};
  ++self.depth_;
}

token parser::take() {
  token t = tokens_[at_];
  if (at_ + 1 < tokens_.size())
    ++at_;
  return t;
}

bool parser::skip_if(token_kind kind) { return is(kind) && (take(), true); }

bool parser::skip_if_name(std::string_view name) { return is_name(name) && (take(), true); }

token parser::expect(token_kind kind, std::string_view what) {
  if (!is(kind))
    fail("expected " + std::string{what} + ", got " + describe(current()));
  return take();
}

void parser::expect_name(std::string_view name) {
  if (!skip_if_name(name))
    fail("expected " + in_quotes(name) + ", got " + describe(current()));
}

void parser::fail(const std::string& message) const { throw fault{{template_errc::syntax, message, current().line}}; }

void parser::fail_if_unknown_since(std::size_t count) const {
  if (unknown_.size() > count)
    throw fault{{template_errc::syntax, unknown_[count].message, unknown_[count].line}};
}

expression& parser::make(expression_kind kind, std::uint32_t line) {
  expression& node = out_.expressions.emplace_back();
  node.kind = kind;
  node.line = line;
  return node;
}

const expression* parser::make_arithmetic(arithmetic_op op, const expression* left, const expression* right,
                                          std::uint32_t line) {
  expression& node = make(expression_kind::arithmetic, line);
  node.op = op;
  node.operands = {left, right};
  return &node;
}

std::string_view parser::keep(std::string text) { return out_.texts.emplace_back(std::move(text)); }

symbol parser::intern(std::string_view name) {
  if (const auto found = out_.symbols.find(name); found != out_.symbols.end())
    return found->second;
  const std::string_view kept = keep(std::string{name});
  const auto id = static_cast<symbol>(out_.names.size());
  out_.names.push_back(kept);
  out_.symbols.emplace(kept, id);
  return id;
}

void parser::parse_program() {
  out_.body = parse_block({});
  fail_if_unknown_since(0);
}

/// Statements up to a tag named in ends (which is left as the current token), or to the end of the source.
block parser::parse_block(ends stops) {
  const depth_guard guard{*this};
  block body;
  while (!is(token_kind::end_of_source)) {
    const std::uint32_t line = current().line;
    if (is(token_kind::data)) {
      body.push_back({line, text_node{keep(take().text)}});
    } else if (skip_if(token_kind::variable_begin)) {
      body.push_back({line, output_node{parse_tuple()}});
      expect(token_kind::variable_end, "'}}'");
    } else {
      expect(token_kind::block_begin, "'{%'");
      if (std::any_of(stops.begin(), stops.end(), [this](std::string_view end) { return is_name(end); }))
        return body;
      body.push_back(parse_statement());
      expect(token_kind::block_end, "'%}'");
    }
  }
  if (stops.size() != 0)
    fail("expected '{% " + std::string{*stops.begin()} + " %}' before the end of the template");
  return body;
}

/// The body of a tag: from the tag's end to one of the end tags.
block parser::parse_body(ends stops) {
  skip_if(token_kind::colon);
  expect(token_kind::block_end, "'%}'");
  return parse_block(stops);
}

statement parser::parse_statement() {
  const token tag = expect(token_kind::name, "a tag's name");
  return {tag.line, parse_tag(tag.text)};
}

decltype(statement::node) parser::parse_tag(const std::string& tag) {
  if (tag == "if")
    return parse_if();
  if (tag == "for")
    return parse_for();
  if (tag == "set")
    return parse_set();
  if (tag == "macro")
    return parse_macro();
  if (tag == "call")
    return parse_call_block();
  if (tag == "filter")
    return parse_filter_block();
  if (tag == "with")
    return parse_with();
  if (tag == "generation" || tag == "block" || tag == "autoescape")
    return parse_scope(tag);
  if (tag == "break")
    return parse_jump(jump_node::break_loop);
  if (tag == "continue")
    return parse_jump(jump_node::continue_loop);
  fail("unknown tag " + in_quotes(tag));
}

if_node parser::parse_if() {
  const std::size_t unknown_before = unknown_.size();
  if_node node;
  while (true) {
    const expression* condition = parse_tuple(conditionals::left_out);
    node.branches.push_back({condition, parse_body({"endif", "elif", "else"})});
    if (skip_if_name("elif"))
      continue;
    if (skip_if_name("else"))
      node.branches.push_back({nullptr, parse_body({"endif"})});
    break;
  }
  expect_name("endif");
  forgive_unknown_since(unknown_before);
  return node;
}

for_node parser::parse_for() {
  for_node node;
  node.item = parse_target(target_form::names, "in");
  expect_name("in");
  node.items = parse_tuple(conditionals::left_out, "recursive");
  const std::size_t unknown_before = unknown_.size();
  if (skip_if_name("if"))
    node.condition = parse_expression();
  node.recursive = skip_if_name("recursive");
  ++loops_;
  node.body = parse_body({"endfor", "else"});
  --loops_;
  if (skip_if_name("else"))
    node.otherwise = parse_body({"endfor"});
  expect_name("endfor");
  fail_if_unknown_since(unknown_before);
  return node;
}

decltype(statement::node) parser::parse_set() {
  target to = parse_target(target_form::names_and_attributes, {});
  if (skip_if(token_kind::assign))
    return set_node{std::move(to), parse_tuple()};
  set_block_node node;
  node.to = std::move(to);
  while (skip_if(token_kind::pipe))
    node.filters = parse_filter(node.filters);
  const std::size_t unknown_before = unknown_.size();
  node.body = parse_body({"endset"});
  expect_name("endset");
  fail_if_unknown_since(unknown_before);
  return node;
}

macro_node parser::parse_macro() {
  macro_node node;
  const token name = expect(token_kind::name, "a macro's name");
  node.variable = intern(name.text);
  node.name = keep(name.text);
  parse_signature(node);
  node.body = parse_callable_body(node, "endmacro");
  return node;
}

void parser::parse_signature(macro_node& node) {
  expect(token_kind::paren_open, "'('");
  macro_node* const outer = std::exchange(macro_, &node);
  while (!is(token_kind::paren_close)) {
    if (!node.parameters.empty())
      expect(token_kind::comma, "',' or ')'");
    const symbol name = intern(expect(token_kind::name, "an argument's name").text);
    for (const auto& other : node.parameters)
      if (other.name == name)
        fail("argument " + in_quotes(out_.names[name]) + " is named twice");
    const expression* otherwise = skip_if(token_kind::assign) ? parse_expression() : nullptr;
    if (otherwise == nullptr && !node.parameters.empty() && node.parameters.back().otherwise != nullptr)
      fail("an argument without default follows one with a default");
    node.parameters.push_back({name, otherwise});
  }
  take();
  macro_ = outer;
}

block parser::parse_callable_body(macro_node& node, std::string_view end) {
  const std::size_t unknown_before = unknown_.size();
  macro_node* const outer = std::exchange(macro_, &node);
  const std::uint32_t loops = std::exchange(loops_, 0);
  block body = parse_body({end});
  expect_name(end);
  loops_ = loops;
  macro_ = outer;
  if (outer != nullptr) {
    outer->uses_varargs |= node.uses_varargs;
    outer->uses_kwargs |= node.uses_kwargs;
    outer->uses_caller |= node.uses_caller;
  }
  fail_if_unknown_since(unknown_before);
  return body;
}

call_block_node parser::parse_call_block() {
  call_block_node node;
  node.caller.name = "caller";
  if (is(token_kind::paren_open))
    parse_signature(node.caller);
  node.call = parse_expression();
  if (node.call->kind != expression_kind::call)
    fail("expected a call");
  node.caller.body = parse_callable_body(node.caller, "endcall");
  return node;
}

filter_block_node parser::parse_filter_block() {
  filter_block_node node;
  node.filters = parse_filter(nullptr);
  while (skip_if(token_kind::pipe))
    node.filters = parse_filter(node.filters);
  const std::size_t unknown_before = unknown_.size();
  node.body = parse_body({"endfilter"});
  expect_name("endfilter");
  fail_if_unknown_since(unknown_before);
  return node;
}

with_node parser::parse_with() {
  with_node node;
  while (!is(token_kind::block_end)) {
    if (!node.targets.empty())
      expect(token_kind::comma, "',' or '%}'");
    node.targets.push_back(parse_target(target_form::names, {}));
    expect(token_kind::assign, "'='");
    node.values.push_back(parse_expression());
  }
  const std::size_t unknown_before = unknown_.size();
  node.body = parse_body({"endwith"});
  expect_name("endwith");
  fail_if_unknown_since(unknown_before);
  return node;
}

scope_node parser::parse_scope(std::string_view tag) {
  std::string name;
  if (tag == "block") {
    name = expect(token_kind::name, "a block's name").text;
    skip_if_name("scoped");
    skip_if_name("required");
  } else if (tag == "autoescape" && !skip_if_name("false") && !skip_if_name("False")) {
    fail("only 'autoescape false' is supported");
  }
  // A generation block and a block are functions of their own in Jinja: no jump leaves them.
  const std::size_t unknown_before = unknown_.size();
  const std::uint32_t loops = tag == "autoescape" ? loops_ : std::exchange(loops_, 0);
  scope_node node;
  const std::string end = "end" + std::string{tag};
  node.body = parse_body({end});
  expect_name(end);
  loops_ = loops;
  if (!name.empty())
    skip_if_name(name);
  fail_if_unknown_since(unknown_before);
  return node;
}

jump_node parser::parse_jump(jump_node jump) {
  if (loops_ == 0)
    fail("a loop control outside of a loop");
  return jump;
}

target parser::parse_single_target(target_form form) {
  if (skip_if(token_kind::paren_open)) {
    const depth_guard guard{*this};
    target inside = parse_target(form, {});
    expect(token_kind::paren_close, "')'");
    return inside;
  }
  target to;
  const token name = expect(token_kind::name, "a name to assign to");
  for (const std::string_view constant : {"true", "false", "none", "True", "False", "None"})
    if (name.text == constant)
      fail("cannot assign to " + in_quotes(constant));
  to.name = intern(name.text);
  if (form == target_form::names_and_attributes && skip_if(token_kind::dot))
    to.attribute = keep(expect(token_kind::name, "an attribute's name").text);
  return to;
}

target parser::parse_target(target_form form, std::string_view stop) {
  target first = parse_single_target(form);
  if (!is(token_kind::comma))
    return first;
  target tuple;
  tuple.is_tuple = true;
  tuple.parts.push_back(std::move(first));
  while (skip_if(token_kind::comma)) {
    if (at_tuple_end(stop) || is(token_kind::assign))
      break;
    tuple.parts.push_back(parse_single_target(form));
  }
  return tuple;
}

std::unique_ptr<const program> parse(std::string_view source, const template_limits& limits) {
  if (source.size() > limits.source_bytes_max)
    throw fault{{template_errc::limit_exceeded,
                 "source_bytes_max (" + std::to_string(limits.source_bytes_max) + ") is exceeded by "
                   + std::to_string(source.size()) + " bytes",
                 1}};
  auto out = std::make_unique<program>();
  parser{tokenize(source), limits, *out}.parse_program();
  find_hidden_names(*out);
  return out;
}

} // namespace troupe::text::jinja
