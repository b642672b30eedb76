// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include <nlohmann/json.hpp>

#include "text/jinja/builtins.hpp"
#include "text/jinja/interpreter.hpp"

namespace troupe::text::jinja {

interpreter::interpreter(const program& p, const template_limits& limits, const nlohmann::ordered_json& context,
                         std::chrono::local_seconds now)
  : program_(p), rt_(limits), now_(now) {
  globals_.reserve(p.names.size());
  for (const std::string_view name : p.names)
    globals_.push_back(value::missing(name));
  const auto set = [&](std::string_view name, const value& content) {
    if (const auto found = p.symbols.find(name); found != p.symbols.end())
      globals_[found->second] = content;
  };
  for (const auto& entry : global_functions()) {
    value v = value::of(kind::function);
    v.function = &entry;
    set(entry.name, v);
  }
  if (!context.is_object())
    rt_.fail("the context must be an object");
  for (const auto& [name, content] : context.items())
    if (p.symbols.contains(name)) // what the template never names costs nothing
      set(name, from_json(rt_, content));
}

std::string interpreter::run() {
  execute(program_.body, *make_scope(nullptr));
  return std::move(output_);
}

void interpreter::write(std::string_view text) {
  rt_.charge_bytes(text.size());
  if (text.size() > rt_.limits.output_bytes_max - output_.size())
    rt_.fail_limit("output_bytes_max", rt_.limits.output_bytes_max);
  output_ += text;
}

/// Inner texts are written to the end of the one output string and cut off again, so that the output's limit
/// counts all that is unfinished.
value interpreter::capture(const block& body, scope& in) {
  const std::size_t start = output_.size();
  execute(body, in);
  const value text = make_string(rt_, std::string_view{output_}.substr(start));
  output_.resize(start);
  return text;
}

interpreter::flow interpreter::execute(const block& body, scope& in) {
  const depth_guard guard{rt_};
  if (const auto hidden = program_.hidden.find(&body); hidden != program_.hidden.end())
    for (const symbol name : hidden->second)
      define(in, name, value::missing(program_.names[name]));
  for (const statement& s : body)
    if (const flow f = execute(s, in); f != flow::next)
      return f;
  return flow::next;
}

interpreter::flow interpreter::execute(const statement& s, scope& in) {
  rt_.line = s.line;
  rt_.charge();
  if (const auto* text = std::get_if<text_node>(&s.node)) {
    write(text->text);
  } else if (const auto* output = std::get_if<output_node>(&s.node)) {
    write(to_text(rt_, evaluate(*output->content, in)));
  } else if (const auto* branch = std::get_if<if_node>(&s.node)) {
    return execute_if(*branch, in);
  } else if (const auto* loop = std::get_if<for_node>(&s.node)) {
    execute_for(*loop, in);
  } else if (const auto* set = std::get_if<set_node>(&s.node)) {
    assign(set->to, evaluate(*set->content, in), in);
  } else if (const auto* set_block = std::get_if<set_block_node>(&s.node)) {
    value text = capture(set_block->body, *make_scope(&in));
    if (set_block->filters != nullptr) {
      block_text_ = text;
      text = evaluate(*set_block->filters, in);
    }
    assign(set_block->to, text, in);
  } else if (const auto* macro = std::get_if<macro_node>(&s.node)) {
    value v = value::of(kind::macro);
    v.macro = rt_.memory.make<macro_closure>(macro, &in);
    for (scope* outer = &in; outer != nullptr; outer = outer->parent)
      outer->captured = true;
    define(in, macro->variable, v);
  } else if (const auto* call = std::get_if<call_block_node>(&s.node)) {
    execute_call_block(*call, in);
  } else if (const auto* filter = std::get_if<filter_block_node>(&s.node)) {
    block_text_ = capture(filter->body, *make_scope(&in));
    write(to_text(rt_, evaluate(*filter->filters, in)));
  } else if (const auto* with = std::get_if<with_node>(&s.node)) {
    return execute_with(*with, in);
  } else if (const auto* inner = std::get_if<scope_node>(&s.node)) {
    return execute(inner->body, *make_scope(&in));
  } else if (const auto* jump = std::get_if<jump_node>(&s.node)) {
    return *jump == jump_node::break_loop ? flow::break_loop : flow::continue_loop;
  }
  return flow::next;
}

interpreter::flow interpreter::execute_if(const if_node& node, scope& in) {
  for (const if_branch& branch : node.branches)
    if (branch.condition == nullptr || is_true(rt_, evaluate(*branch.condition, in)))
      return execute(branch.body, in);
  return flow::next;
}

interpreter::flow interpreter::execute_with(const with_node& node, scope& in) {
  scope* inner = make_scope(&in);
  growing<value> values{rt_.memory};
  for (const expression* e : node.values)
    values.push(evaluate(*e, in)); // none sees another's target
  for (std::size_t i = 0; i < node.targets.size(); ++i)
    assign(node.targets[i], values[i], *inner);
  return execute(node.body, *inner);
}

void interpreter::execute_for(const for_node& node, scope& in) { run_loop(node, evaluate(*node.items, in), in, 0); }

void interpreter::run_loop(const for_node& node, const value& items, scope& outer, std::uint32_t depth) {
  auto* loop = rt_.memory.make<loop_state>();
  loop->owner = this;
  loop->node = &node;
  loop->outer = &outer;
  loop->depth = depth;
  loop->filtered = node.condition != nullptr;
  loop->items = items_of(rt_, items);
  value loop_value = value::of(kind::loop);
  loop_value.loop = loop;

  scope* inner = make_scope(&outer);
  bool completed = false; // as in Jinja, a round that a jump cuts short does not count for `else`
  while (advance(*loop)) {
    rt_.charge();
    if (inner->captured)
      inner = make_scope(&outer);
    inner->size = 0;
    define(*inner, program_.loop, loop_value);
    assign(node.item, loop->current, *inner);
    const flow f = execute(node.body, *inner);
    if (f == flow::break_loop)
      break;
    if (f == flow::next)
      completed = true;
  }
  if (!completed)
    execute(node.otherwise, *make_scope(&outer));
}

/// The next item that passes the loop's condition.
bool interpreter::find_next(loop_state& loop, value& found) {
  scope* inner = nullptr;
  while (loop.next < loop.items.size()) {
    rt_.charge();
    const value& item = loop.items[loop.next++];
    if (loop.filtered) {
      if (inner == nullptr)
        inner = make_scope(loop.outer);
      inner->size = 0;
      assign(loop.node->item, item, *inner);
      if (!is_true(rt_, evaluate(*loop.node->condition, *inner)))
        continue;
    }
    found = item;
    return true;
  }
  return false;
}

void interpreter::peek(loop_state& loop) {
  if (loop.peeked)
    return;
  loop.has_after = find_next(loop, loop.after);
  loop.peeked = true;
}

bool interpreter::advance(loop_state& loop) {
  peek(loop);
  loop.peeked = false;
  if (!loop.has_after)
    return false;
  ++loop.index;
  loop.before = loop.current;
  loop.current = loop.after;
  return true;
}

std::uint64_t interpreter::loop_length(loop_state& loop) {
  if (loop.length >= 0)
    return static_cast<std::uint64_t>(loop.length);
  if (!loop.filtered) {
    loop.length = static_cast<std::int64_t>(loop.items.size());
  } else {
    peek(loop);
    growing<value> rest{rt_.memory};
    for (value item; find_next(loop, item);)
      rest.push(item);
    loop.length = loop.index + 1 + (loop.has_after ? 1 : 0) + static_cast<std::int64_t>(rest.size());
    // The condition has been asked about these: an unfiltered rest is left.
    loop.items = {rest.data(), rest.size()};
    loop.next = 0;
    loop.filtered = false;
  }
  return static_cast<std::uint64_t>(loop.length);
}

void interpreter::execute_call_block(const call_block_node& node, scope& in) {
  for (scope* outer = &in; outer != nullptr; outer = outer->parent)
    outer->captured = true;
  keyword_argument caller{"caller", value::of(kind::macro)};
  caller.content.macro = rt_.memory.make<macro_closure>(&node.caller, &in);
  const value callee = evaluate(*node.call->operands[0], in);
  const arguments args = evaluate_arguments(*node.call, in, &caller);
  rt_.line = node.call->line;
  write(to_text(rt_, call(callee, args)));
}

void interpreter::assign(const target& to, const value& content, scope& in) {
  if (to.is_tuple) {
    const auto items = items_of(rt_, content);
    if (items.size() != to.parts.size())
      rt_.fail("cannot unpack " + std::to_string(items.size()) + " values into " + std::to_string(to.parts.size()));
    for (std::size_t i = 0; i < items.size(); ++i)
      assign(to.parts[i], items[i], in);
    return;
  }
  if (to.attribute.empty())
    return define(in, to.name, content);
  const value object = look_up(to.name, in);
  if (!object.is(kind::name_space))
    rt_.fail("cannot assign attribute " + in_quotes(to.attribute) + " of " + in_quotes(program_.names[to.name])
             + ", which is no namespace");
  for (auto& entry : object.space->attributes) {
    rt_.charge();
    if (entry.key.text() == to.attribute) {
      entry.content = content;
      return;
    }
  }
  object.space->attributes.push({value::string(to.attribute), content});
}

} // namespace troupe::text::jinja
