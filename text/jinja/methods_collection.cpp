// SPDX-License-Identifier: Apache-2.0
// Methods of dicts, sequences and loops. Those that would change a list or a dict do not exist here.
#include <algorithm>

#include "text/jinja/builtin_tables.hpp"
#include "text/jinja/builtins.hpp"
#include "text/jinja/interpreter.hpp"

namespace troupe::text::jinja {

namespace {

template <view_part Part>
value view(interpreter& in, const value& self, const arguments& args) {
  const bound_arguments none{in.rt(), "the method", args, {}};
  value v = value::of(kind::view);
  v.view = in.rt().memory.make<view_object>(Part, self.dict);
  return v;
}

value get(interpreter& in, const value& self, const arguments& args) {
  const bound_arguments bound{in.rt(), "get", args, {"*key", "*default"}, 1};
  if (const value* found = find(in.rt(), *self.dict, *bound[0]))
    return *found;
  return bound[1] != nullptr ? *bound[1] : value::none();
}

value copy(interpreter& in, const value& self, const arguments& args) {
  const bound_arguments none{in.rt(), "copy", args, {}};
  return self; // it never changes
}

value index(interpreter& in, const value& self, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "index", args, {"*value"}, 1};
  const auto items = items_of(rt, self);
  for (std::size_t i = 0; i < items.size(); ++i)
    if (equal(rt, items[i], *bound[0]))
      return value::number(static_cast<std::int64_t>(i));
  rt.fail("the value is not in the list");
}

value count(interpreter& in, const value& self, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "count", args, {"*value"}, 1};
  const auto items = items_of(rt, self);
  return value::number(static_cast<std::int64_t>(
    std::count_if(items.begin(), items.end(), [&](const value& item) { return equal(rt, item, *bound[0]); })));
}

value cycle(interpreter& in, const value& self, const arguments& args) {
  if (args.positional.empty())
    in.rt().fail("there are no items to cycle through");
  return args.positional[static_cast<std::size_t>(self.loop->index) % args.positional.size()];
}

value changed(interpreter& in, const value& self, const arguments& args) {
  auto& rt = in.rt();
  auto& loop = *self.loop;
  const value now = make_tuple(rt, args.positional);
  if (loop.has_changed && equal(rt, loop.changed, now))
    return value::boolean(false);
  loop.has_changed = true;
  loop.changed = now;
  return value::boolean(true);
}

value next(interpreter& in, const value& self, const arguments& args) {
  const bound_arguments none{in.rt(), "next", args, {}};
  auto& state = *self.cycle;
  const value item = state.items.items[state.position];
  state.position = (state.position + 1) % state.items.size;
  return item;
}

value reset(interpreter& in, const value& self, const arguments& args) {
  const bound_arguments none{in.rt(), "reset", args, {}};
  self.cycle->position = 0;
  return value::none();
}

} // namespace

const filter_table& dict_methods() {
  static const filter_table table{{"keys", view<view_part::keys>},
                                  {"values", view<view_part::values>},
                                  {"items", view<view_part::items>},
                                  {"get", get},
                                  {"copy", copy}};
  return table;
}

const filter_table& list_methods() {
  static const filter_table table{{"index", index}, {"count", count}, {"copy", copy}};
  return table;
}

const filter_table& sequence_methods() {
  static const filter_table table{{"index", index}, {"count", count}};
  return table;
}

const filter_table& loop_methods() {
  static const filter_table table{{"cycle", cycle}, {"changed", changed}};
  return table;
}

const filter_table& cycler_methods() {
  static const filter_table table{{"next", next}, {"reset", reset}};
  return table;
}

} // namespace troupe::text::jinja
