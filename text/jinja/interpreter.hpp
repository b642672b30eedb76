// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "text/jinja/ast.hpp"
#include "text/jinja/operations.hpp"
#include "text/jinja/runtime.hpp"
#include "text/jinja/value.hpp"

namespace troupe::text::jinja {

struct binding {
  symbol name = 0;
  value content;
};

/// Variables of one block. A name that is not here is looked up in the parent.
struct scope {
  scope* parent = nullptr;
  binding* bindings = nullptr;
  std::uint32_t size = 0;
  std::uint32_t capacity = 0;
  /// A macro was defined in it, so the block's end is not its end.
  bool captured = false;
};

/// namespace(…): the only thing that a template can change from an inner block.
struct name_space {
  growing<dict_entry> attributes;
};

/// A running loop, and what the template sees as `loop`.
struct loop_state {
  interpreter* owner = nullptr;
  const for_node* node = nullptr;
  scope* outer = nullptr;
  std::span<const value> items;
  std::size_t next = 0;
  std::int64_t index = -1;
  std::uint32_t depth = 0;
  /// The loop's condition has still to be asked about the items from next on.
  bool filtered = false;
  /// The item after the current one, once somebody asked.
  bool peeked = false;
  bool has_after = false;
  value before;
  value current;
  value after;
  /// loop.length of a filtered loop, once somebody asked; -1 before.
  std::int64_t length = -1;
  bool has_changed = false;
  value changed;
};

struct macro_closure {
  const macro_node* node = nullptr;
  scope* defined_in = nullptr;
};

/// One render of a program.
class interpreter {
public:
  interpreter(const program&, const template_limits&, const nlohmann::ordered_json& context,
              std::chrono::local_seconds now);

  /// Throws fault; std::bad_alloc where value_bytes_max is reached.
  std::string run();

  // -- for filters, tests and methods
  runtime& rt() { return rt_; }
  std::chrono::local_seconds now() const { return now_; }
  /// object.name and object[key], undefined where there is none.
  value attribute_of(const value& object, std::string_view name);
  value item_of(const value& object, const value& key);
  value call(const value& callee, const arguments&);
  std::uint64_t loop_length(loop_state&);

private:
  enum class flow : std::uint8_t { next, break_loop, continue_loop };

  // -- statements (execution.cpp)
  flow execute(const block&, scope&);
  flow execute(const statement&, scope&);
  flow execute_if(const if_node&, scope&);
  flow execute_with(const with_node&, scope&);
  void execute_for(const for_node&, scope&);
  void run_loop(const for_node&, const value& items, scope& outer, std::uint32_t depth);
  bool advance(loop_state&);
  bool find_next(loop_state&, value& found);
  void peek(loop_state&);
  void execute_call_block(const call_block_node&, scope&);
  void assign(const target&, const value&, scope&);
  /// The text that a block writes.
  value capture(const block&, scope&);
  void write(std::string_view);

  // -- expressions (evaluation.cpp)
  value evaluate(const expression&, scope&);
  value evaluate_dict(const expression&, scope&);
  value evaluate_slice(const expression&, scope&);
  value evaluate_call(const expression&, scope&);
  value evaluate_filter(const expression&, scope&);
  value evaluate_test(const expression&, scope&);
  value evaluate_comparison(const expression&, scope&);
  value evaluate_concatenation(const expression&, scope&);
  value look_up(symbol, const scope&) const;
  void define(scope&, symbol, const value&);
  scope* make_scope(scope* parent);

  /// Arguments in the render's memory.
  arguments evaluate_arguments(const expression&, scope&, const keyword_argument* extra = nullptr);

  // -- calls (calls.cpp)
  value call_macro(const macro_closure&, const arguments&);
  void bind_parameters(const macro_closure&, const arguments&, scope&);
  value call_loop(loop_state&, const arguments&);
  value loop_attribute(loop_state&, std::string_view name);

  const program& program_;
  runtime rt_;
  std::chrono::local_seconds now_;
  /// By symbol: the context's value or a built-in function.
  std::vector<value> globals_;
  std::string output_;
  /// The text of the enclosing filter block, for a filter without input.
  value block_text_;
};

} // namespace troupe::text::jinja
