// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include <nlohmann/json.hpp>

#include "text/jinja/error.hpp"
#include "text/jinja/interpreter.hpp"
#include "text/jinja/operations.hpp"
#include "text/jinja/unicode.hpp"

namespace troupe::text::jinja {

std::string_view type_name(const value& v) {
  switch (v.type) {
    case kind::undefined: return "Undefined";
    case kind::none: return "NoneType";
    case kind::boolean: return "bool";
    case kind::integer: return "int";
    case kind::real: return "float";
    case kind::string: return "str";
    case kind::list: return "list";
    case kind::tuple: return "tuple";
    case kind::dict: return "dict";
    case kind::range: return "range";
    case kind::iterator: return "generator";
    case kind::view: return "dict view";
    case kind::name_space: return "Namespace";
    case kind::loop: return "LoopContext";
    case kind::macro: return "Macro";
    case kind::method: return "method";
    case kind::function: return "function";
    case kind::cycler: return "Cycler";
    case kind::joiner: return "Joiner";
  }
  return "unknown";
}

value make_string(runtime& rt, std::string_view copied) {
  rt.charge_bytes(copied.size());
  return value::string(rt.memory.copy(copied));
}

namespace {

value sequence_value(runtime& rt, kind type, const value* items, std::size_t size) {
  value v = value::of(type);
  v.items = rt.memory.make<sequence>(items, std::uint64_t{size});
  return v;
}

value copy_sequence(runtime& rt, kind type, std::span<const value> items) {
  rt.charge(items.size());
  value* copy = rt.memory.allocate_array<value>(items.size());
  std::copy(items.begin(), items.end(), copy);
  return sequence_value(rt, type, copy, items.size());
}

} // namespace

value make_list(runtime& rt, std::span<const value> items) { return copy_sequence(rt, kind::list, items); }
value make_tuple(runtime& rt, std::span<const value> items) { return copy_sequence(rt, kind::tuple, items); }
value as_list(runtime& rt, const growing<value>& items) {
  return sequence_value(rt, kind::list, items.data(), items.size());
}
value as_tuple(runtime& rt, const growing<value>& items) {
  return sequence_value(rt, kind::tuple, items.data(), items.size());
}
value as_string(runtime& rt, const text_builder& text) {
  rt.charge_bytes(text.size());
  if (text.size() > UINT32_MAX)
    rt.fail_limit("value_bytes_max", rt.limits.value_bytes_max);
  return value::string(text.view());
}
value as_iterator(runtime& rt, const growing<value>& items) {
  value v = value::of(kind::iterator);
  v.iterator = rt.memory.make<iterator_state>(sequence{items.data(), items.size()});
  return v;
}
value with_fault(runtime& rt, value iterator, const template_error& error) {
  if (error.code == template_errc::limit_exceeded)
    throw fault{error};
  iterator.iterator->fault =
    rt.memory.make<deferred_fault>(error.code, rt.memory.copy(error.message), std::uint32_t{error.line});
  return iterator;
}
value make_range(runtime& rt, const range_bounds& bounds) {
  value v = value::of(kind::range);
  v.range = rt.memory.make<range_bounds>(bounds);
  return v;
}

value from_json(runtime& rt, const nlohmann::ordered_json& json) {
  using type = nlohmann::ordered_json::value_t;
  const depth_guard guard{rt};
  switch (json.type()) {
    case type::null: return value::none();
    case type::boolean: return value::boolean(json.get<bool>());
    case type::number_integer: return value::number(json.get<std::int64_t>());
    case type::number_unsigned: {
      const auto x = json.get<std::uint64_t>();
      if (x > static_cast<std::uint64_t>(INT64_MAX))
        rt.fail("integer " + std::to_string(x) + " in the context is out of range");
      return value::number(static_cast<std::int64_t>(x));
    }
    case type::number_float: return value::number(json.get<double>());
    case type::string: {
      const auto& text = json.get_ref<const std::string&>();
      if (text.size() > UINT32_MAX)
        rt.fail("a string of the context is too long");
      return value::string(text);
    }
    case type::array: {
      rt.charge(json.size());
      growing<value> items{rt.memory};
      items.reserve(json.size());
      for (const auto& item : json)
        items.push(from_json(rt, item));
      return as_list(rt, items);
    }
    case type::object: {
      dict_builder entries{rt};
      for (const auto& [key, content] : json.items())
        entries.insert(value::string(key), from_json(rt, content));
      return entries.finish();
    }
    case type::binary:
    case type::discarded: break;
  }
  rt.fail("the context holds what is not JSON");
}

bool is_true(runtime& rt, const value& v) {
  switch (v.type) {
    case kind::undefined:
    case kind::none: return false;
    case kind::boolean: return v.truth;
    case kind::integer: return v.integer != 0;
    case kind::real: return v.real != 0;
    case kind::string: return v.size != 0;
    case kind::list:
    case kind::tuple:
    case kind::dict:
    case kind::range:
    case kind::view:
    case kind::loop: return length_of(rt, v) != 0;
    case kind::iterator:
    case kind::name_space:
    case kind::macro:
    case kind::method:
    case kind::function:
    case kind::cycler:
    case kind::joiner: return true;
  }
  return false;
}

namespace {

std::span<const value> characters_of(runtime& rt, std::string_view text) {
  growing<value> items{rt.memory};
  for (std::size_t at = 0; at < text.size();) {
    rt.charge();
    const auto size = decode(text, at).size;
    items.push(value::string(text.substr(at, size)));
    at += size;
  }
  return {items.data(), items.size()};
}

std::span<const value> dict_items(runtime& rt, const dictionary& dict, view_part part) {
  rt.charge(dict.size);
  value* items = rt.memory.allocate_array<value>(dict.size);
  for (std::uint32_t i = 0; i < dict.size; ++i) {
    const auto& entry = dict.entries[i];
    switch (part) {
      case view_part::keys: items[i] = entry.key; break;
      case view_part::values: items[i] = entry.content; break;
      case view_part::items: {
        const value pair[] = {entry.key, entry.content};
        items[i] = make_tuple(rt, pair);
      }
    }
  }
  return {items, dict.size};
}

void throw_deferred(iterator_state& it) {
  if (const deferred_fault* f = std::exchange(it.fault, nullptr))
    throw fault{{f->code, std::string{f->message}, f->line}};
}

} // namespace

std::span<const value> items_of(runtime& rt, const value& v) {
  switch (v.type) {
    case kind::undefined: return {};
    case kind::string: return characters_of(rt, v.text());
    case kind::list:
    case kind::tuple: return v.list();
    case kind::dict: return dict_items(rt, *v.dict, view_part::keys);
    case kind::view: return dict_items(rt, *v.view->dict, v.view->part);
    case kind::range: {
      const auto size = static_cast<std::size_t>(v.range->size);
      rt.charge(size);
      value* items = rt.memory.allocate_array<value>(size);
      for (std::size_t i = 0; i < size; ++i)
        items[i] = value::number(v.range->start + static_cast<std::int64_t>(i) * v.range->step);
      return {items, size};
    }
    case kind::iterator: {
      const auto rest = std::span{v.iterator->items.items, static_cast<std::size_t>(v.iterator->items.size)}.subspan(
        static_cast<std::size_t>(v.iterator->position));
      v.iterator->position = v.iterator->items.size;
      throw_deferred(*v.iterator);
      return rest;
    }
    default: rt.fail("a value of type " + std::string{type_name(v)} + " cannot be iterated");
  }
}

std::uint64_t length_of(runtime& rt, const value& v) {
  switch (v.type) {
    case kind::undefined: return 0;
    case kind::string: rt.charge_bytes(std::uint64_t{v.size} * 4); return count_code_points(v.text());
    case kind::list:
    case kind::tuple: return v.items->size;
    case kind::dict: return v.dict->size;
    case kind::view: return v.view->dict->size;
    case kind::range: return static_cast<std::uint64_t>(v.range->size);
    case kind::loop: return v.loop->owner->loop_length(*v.loop);
    default: rt.fail("a value of type " + std::string{type_name(v)} + " has no length");
  }
}

void fail_undefined(runtime& rt, const value& v) {
  rt.fail(template_errc::undefined_value,
          v.size != 0 ? in_quotes(v.text()) + " is undefined" : std::string{"the value is undefined"});
}

std::string_view expect_string(runtime& rt, const value& v, std::string_view what) {
  if (v.is(kind::undefined))
    fail_undefined(rt, v);
  if (!v.is(kind::string))
    rt.fail(std::string{what} + " must be a string, not " + std::string{type_name(v)});
  return v.text();
}

std::int64_t expect_integer(runtime& rt, const value& v, std::string_view what) {
  if (v.is(kind::undefined))
    fail_undefined(rt, v);
  if (!v.is_integral())
    rt.fail(std::string{what} + " must be an integer, not " + std::string{type_name(v)});
  return v.as_integer();
}

} // namespace troupe::text::jinja
