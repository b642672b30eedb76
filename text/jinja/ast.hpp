// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "text/jinja/value.hpp"

namespace troupe::text::jinja {

/// A variable's name, as an index into program::names.
using symbol = std::uint32_t;

enum class expression_kind : std::uint8_t {
  literal,
  variable,
  list,
  tuple,
  /// operands: key, value, key, value …
  dict,
  /// operands: object
  attribute,
  /// operands: object, index
  item,
  /// operands: object, start, stop, step; nullptr where left out
  slice,
  /// operands: callee, arguments …
  call,
  /// operands: input (nullptr: the enclosing block's text), arguments …
  filter,
  /// operands: input, arguments …
  test,
  negate,
  plus,
  logical_not,
  logical_and,
  logical_or,
  /// operands: condition, then, else or nullptr
  conditional,
  arithmetic,
  concatenation,
  /// operands: first, then one per comparison
  comparison,
};

enum class arithmetic_op : std::uint8_t { add, subtract, multiply, divide, floor_divide, modulo, power };
enum class comparison_op : std::uint8_t {
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in,
};

struct expression;

struct keyword_expression {
  std::string_view name;
  const expression* content = nullptr;
};

/// One node. Nodes are owned by their program, so that no destructor recurses.
struct expression {
  expression_kind kind{};
  arithmetic_op op{};
  std::uint32_t line = 0;
  /// variable
  symbol name = 0;
  /// attribute, filter, test: its name
  std::string_view text;
  /// literal
  value constant;
  std::vector<const expression*> operands;
  std::vector<comparison_op> comparisons;
  std::vector<keyword_expression> keywords;
  /// f(*list) and f(**dict)
  const expression* star = nullptr;
  const expression* star_star = nullptr;
  /// nullptr if there is none of that name, which is an error only where it is reached
  filter_function filter = nullptr;
  test_function test = nullptr;
};

struct statement;
using block = std::vector<statement>;

/// What `set` and `for` assign to: a name, a namespace's attribute, or a tuple of targets.
struct target {
  symbol name = 0;
  std::string_view attribute;
  /// Not empty: a tuple.
  std::vector<target> parts;
  bool is_tuple = false;
};

struct text_node {
  std::string_view text;
};
struct output_node {
  const expression* content = nullptr;
};
struct if_branch {
  /// nullptr for else
  const expression* condition = nullptr;
  block body;
};
struct if_node {
  std::vector<if_branch> branches;
};
struct for_node {
  target item;
  const expression* items = nullptr;
  const expression* condition = nullptr;
  bool recursive = false;
  block body;
  block otherwise;
};
struct set_node {
  target to;
  const expression* content = nullptr;
};
struct set_block_node {
  target to;
  /// nullptr, or filters over the block's text
  const expression* filters = nullptr;
  block body;
};
struct parameter {
  symbol name = 0;
  /// nullptr if there is no default
  const expression* otherwise = nullptr;
};
/// A macro, or the body of a call block.
struct macro_node {
  std::string_view name;
  symbol variable = 0;
  std::vector<parameter> parameters;
  bool uses_varargs = false;
  bool uses_kwargs = false;
  bool uses_caller = false;
  block body;
};
struct call_block_node {
  const expression* call = nullptr;
  macro_node caller;
};
struct filter_block_node {
  const expression* filters = nullptr;
  block body;
};
struct with_node {
  std::vector<target> targets;
  std::vector<const expression*> values;
  block body;
};
/// generation, block, autoescape false: a scope and nothing else.
struct scope_node {
  block body;
};
enum class jump_node : std::uint8_t { break_loop, continue_loop };

struct statement {
  std::uint32_t line = 0;
  std::variant<text_node, output_node, if_node, for_node, set_node, set_block_node, macro_node, call_block_node,
               filter_block_node, with_node, scope_node, jump_node>
    node;
};

/// A parsed template. Never changes, so any number of renders may read it at once.
struct program {
  block body;
  std::deque<expression> expressions;
  /// Texts that nodes view: data, literals, names.
  std::deque<std::string> texts;
  std::vector<std::string_view> names;
  std::unordered_map<std::string_view, symbol> symbols;
  /// Names that are undefined from a block's start on, whatever the context says (scope_analysis.hpp).
  std::unordered_map<const block*, std::vector<symbol>> hidden;
  /// Symbols that the interpreter itself defines.
  symbol loop = 0;
  symbol caller = 0;
  symbol varargs = 0;
  symbol kwargs = 0;
};

} // namespace troupe::text::jinja
