// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "text/jinja/builtins.hpp"
#include "text/jinja/interpreter.hpp"

namespace troupe::text::jinja {

value interpreter::attribute_of(const value& object, std::string_view name) {
  switch (object.type) {
    case kind::undefined: fail_undefined(rt_, object);
    case kind::name_space:
      for (const auto& entry : object.space->attributes)
        if (entry.key.text() == name)
          return entry.content;
      return value::missing(name);
    case kind::loop: return loop_attribute(*object.loop, name);
    case kind::macro:
      if (name == "name")
        return value::string(object.macro->node->name);
      break;
    case kind::cycler:
      if (name == "current")
        return object.cycle->items.items[object.cycle->position];
      break;
    case kind::tuple:
      if (object.marked && (name == "grouper" || name == "list"))
        return object.items->items[name == "grouper" ? 0 : 1];
      break;
    default: break;
  }
  if (const auto method = find_method(object.type, name)) {
    value v = value::of(kind::method);
    v.method = rt_.memory.make<bound_method>(object, name, method);
    return v;
  }
  if (object.is(kind::dict))
    if (const value* found = find(rt_, *object.dict, name))
      return *found;
  return value::missing(name);
}

value interpreter::item_of(const value& object, const value& key) {
  if (const auto found = find_item(rt_, object, key))
    return *found;
  if (!key.is(kind::string))
    return value::missing("the item");
  if (object.is(kind::dict)) { // its own keys come first here
    if (const auto method = find_method(kind::dict, key.text()))
      return attribute_of(object, key.text());
    return value::missing(key.text());
  }
  return attribute_of(object, key.text());
}

value interpreter::loop_attribute(loop_state& loop, std::string_view name) {
  const auto length = [&] { return static_cast<std::int64_t>(loop_length(loop)); };
  if (name == "index")
    return value::number(loop.index + 1);
  if (name == "index0")
    return value::number(loop.index);
  if (name == "first")
    return value::boolean(loop.index == 0);
  if (name == "last")
    return peek(loop), value::boolean(!loop.has_after);
  if (name == "length")
    return value::number(length());
  if (name == "revindex")
    return value::number(length() - loop.index);
  if (name == "revindex0")
    return value::number(length() - loop.index - 1);
  if (name == "depth")
    return value::number(std::int64_t{loop.depth} + 1);
  if (name == "depth0")
    return value::number(std::int64_t{loop.depth});
  if (name == "previtem")
    return loop.index == 0 ? value::missing("loop.previtem") : loop.before;
  if (name == "nextitem")
    return peek(loop), loop.has_after ? loop.after : value::missing("loop.nextitem");
  if (const auto method = find_method(kind::loop, name)) {
    value self = value::of(kind::loop);
    self.loop = &loop;
    value v = value::of(kind::method);
    v.method = rt_.memory.make<bound_method>(self, name, method);
    return v;
  }
  return value::missing(name);
}

value interpreter::call(const value& callee, const arguments& args) {
  rt_.charge();
  switch (callee.type) {
    case kind::undefined: fail_undefined(rt_, callee);
    case kind::function: return callee.function->call(*this, args);
    case kind::method: return callee.method->call(*this, callee.method->self, args);
    case kind::macro: return call_macro(*callee.macro, args);
    case kind::loop: return call_loop(*callee.loop, args);
    case kind::joiner: {
      const bound_arguments none{rt_, "joiner", args, {}};
      const bool first = callee.cycle->position++ == 0;
      return first ? value::string({}) : callee.cycle->items.items[0];
    }
    default: rt_.fail("a value of type " + std::string{type_name(callee)} + " cannot be called");
  }
}

value interpreter::call_loop(loop_state& loop, const arguments& args) {
  if (!loop.node->recursive)
    rt_.fail("only a loop that is marked 'recursive' can be called");
  const bound_arguments bound{rt_, "loop", args, {"iterable"}, 1};
  const std::size_t start = output_.size();
  run_loop(*loop.node, *bound[0], *loop.outer, loop.depth + 1);
  const value text = make_string(rt_, std::string_view{output_}.substr(start));
  output_.resize(start);
  return text;
}

value interpreter::call_macro(const macro_closure& macro, const arguments& args) {
  const depth_guard guard{rt_};
  scope* inner = make_scope(macro.defined_in);
  const std::uint32_t line = rt_.line;
  bind_parameters(macro, args, *inner);
  const value text = capture(macro.node->body, *inner);
  rt_.line = line;
  return text;
}

void interpreter::bind_parameters(const macro_closure& macro, const arguments& args, scope& in) {
  const macro_node& node = *macro.node;
  const std::string name = "macro " + in_quotes(node.name);
  const std::size_t count = node.parameters.size();
  if (args.positional.size() > count && !node.uses_varargs)
    rt_.fail(name + " takes not more than " + std::to_string(count) + " arguments");
  const auto is_parameter = [&](std::string_view keyword) {
    const auto from = std::min(args.positional.size(), count);
    return std::any_of(node.parameters.begin() + static_cast<std::ptrdiff_t>(from), node.parameters.end(),
                       [&](const parameter& p) { return program_.names[p.name] == keyword; });
  };
  dict_builder rest{rt_};
  value caller = value::missing("caller");
  for (const auto& keyword : args.named) {
    rt_.charge();
    if (is_parameter(keyword.name))
      continue;
    if (keyword.name == "caller" && node.uses_caller)
      caller = keyword.content;
    else if (node.uses_kwargs)
      rest.insert(value::string(keyword.name), keyword.content);
    else
      rt_.fail(name + " takes no argument " + in_quotes(keyword.name));
  }
  if (node.uses_caller)
    define(in, program_.caller, caller);
  if (node.uses_kwargs)
    define(in, program_.kwargs, rest.finish());
  if (node.uses_varargs)
    define(in, program_.varargs, make_tuple(rt_, args.positional.subspan(std::min(args.positional.size(), count))));
  for (std::size_t i = 0; i < count; ++i) {
    const parameter& p = node.parameters[i];
    const auto named = std::find_if(args.named.begin(), args.named.end(), [&](const keyword_argument& keyword) {
      return program_.names[p.name] == keyword.name;
    });
    if (i < args.positional.size())
      define(in, p.name, args.positional[i]);
    else if (named != args.named.end())
      define(in, p.name, named->content);
    else if (p.otherwise != nullptr)
      define(in, p.name, evaluate(*p.otherwise, in)); // it may name the parameters before it
    else
      define(in, p.name, value::missing(program_.names[p.name]));
  }
}

bound_arguments::bound_arguments(runtime& rt, std::string_view callee, const arguments& args,
                                 std::initializer_list<std::string_view> names, std::size_t required) {
  const std::string_view* const name_of = names.begin();
  if (args.positional.size() > names.size())
    rt.fail(std::string{callee} + " takes not more than " + std::to_string(names.size()) + " arguments");
  for (std::size_t i = 0; i < args.positional.size(); ++i)
    values_[i] = &args.positional[i];
  for (const auto& keyword : args.named) {
    const auto found = std::find(names.begin(), names.end(), keyword.name);
    const auto i = static_cast<std::size_t>(found - names.begin());
    if (found == names.end() || keyword.name.starts_with('*'))
      rt.fail(std::string{callee} + " takes no argument " + in_quotes(keyword.name));
    if (values_[i] != nullptr)
      rt.fail(std::string{callee} + " is given its argument " + in_quotes(keyword.name) + " twice");
    values_[i] = &keyword.content;
  }
  for (std::size_t i = 0; i < required; ++i)
    if (values_[i] == nullptr)
      rt.fail(std::string{callee} + " lacks its argument " + in_quotes(name_of[i]));
}

} // namespace troupe::text::jinja
