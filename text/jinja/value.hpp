// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "text/jinja/error.hpp"

namespace troupe::text::jinja {

class interpreter;
struct value;
struct dictionary;
struct iterator_state;
struct view_object;
struct name_space;
struct loop_state;
struct macro_closure;
struct bound_method;
struct function_entry;
struct cycle_state;

/// Python's types as far as templates meet them. The order matters to nobody.
enum class kind : std::uint8_t {
  undefined,
  none,
  boolean,
  integer,
  real,
  string,
  list,
  tuple,
  dict,
  range,
  /// What a generator filter returns: it can be walked once.
  iterator,
  /// dict.keys(), dict.values(), dict.items()
  view,
  name_space,
  loop,
  macro,
  method,
  function,
  /// cycler(…) and joiner(…)
  cycler,
  joiner,
};

struct sequence {
  const value* items = nullptr;
  std::uint64_t size = 0;
};

struct range_bounds {
  std::int64_t start = 0;
  /// As it was given; the last item may be before it.
  std::int64_t stop = 0;
  std::int64_t step = 1;
  std::int64_t size = 0;
};

/// A value of a template: 16 bytes, freely copied. What it points to lives in the render's arena, in the
/// template or in the caller's context, and all of them outlive it. Lists and dicts never change once made
/// (the sandbox forbids it), so they are shared without copies.
struct value {
  kind type = kind::undefined;
  /// A string: it went through `safe` or `escape`. A tuple: it is a group of `groupby`.
  bool marked = false;
  /// Bytes of a string, or of an undefined value's name.
  std::uint32_t size = 0;
  union {
    const char* chars = nullptr;
    bool truth;
    std::int64_t integer;
    double real;
    const sequence* items;
    const dictionary* dict;
    const range_bounds* range;
    iterator_state* iterator;
    const view_object* view;
    name_space* space;
    loop_state* loop;
    const macro_closure* macro;
    const bound_method* method;
    const function_entry* function;
    cycle_state* cycle;
  };

  static value none() { return of(kind::none); }
  static value boolean(bool x) {
    value v = of(kind::boolean);
    v.truth = x;
    return v;
  }
  static value number(std::int64_t x) {
    value v = of(kind::integer);
    v.integer = x;
    return v;
  }
  static value number(double x) {
    value v = of(kind::real);
    v.real = x;
    return v;
  }
  /// REQUIRES: text.size() < 2^32 and the bytes outlive the render.
  static value string(std::string_view text) {
    value v = of(kind::string);
    v.chars = text.data();
    v.size = static_cast<std::uint32_t>(text.size());
    return v;
  }
  /// What stands for a name that has no value; the name is for messages.
  static value missing(std::string_view name) {
    value v = string(name);
    v.type = kind::undefined;
    return v;
  }
  static value of(kind type) {
    value v;
    v.type = type;
    return v;
  }

  bool is(kind k) const { return type == k; }
  bool is_integral() const { return type == kind::integer || type == kind::boolean; }
  bool is_number() const { return is_integral() || type == kind::real; }
  /// REQUIRES: a string or an undefined value
  std::string_view text() const { return {chars, size}; }
  /// REQUIRES: a list or tuple
  std::span<const value> list() const { return {items->items, static_cast<std::size_t>(items->size)}; }
  /// REQUIRES: is_integral()
  std::int64_t as_integer() const { return type == kind::boolean ? std::int64_t{truth} : integer; }
  /// REQUIRES: is_number()
  double as_real() const { return type == kind::real ? real : static_cast<double>(as_integer()); }
};

struct dict_entry {
  value key;
  value content;
};

/// Entries in order of insertion, and for more than a few an open-addressed index: slots hold entry + 1.
struct dictionary {
  const dict_entry* entries = nullptr;
  std::uint32_t size = 0;
  const std::uint32_t* slots = nullptr;
  std::uint32_t slot_count = 0;
};

/// A generator filter runs at once, but what fails in it fails only for those who walk that far.
struct deferred_fault {
  template_errc code{};
  std::string_view message;
  std::uint32_t line = 0;
};

struct iterator_state {
  sequence items;
  std::uint64_t position = 0;
  /// nullptr if the items are all there are.
  const deferred_fault* fault = nullptr;
};

enum class view_part : std::uint8_t { keys, values, items };

struct view_object {
  view_part part{};
  const dictionary* dict = nullptr;
};

struct cycle_state {
  sequence items;
  std::uint64_t position = 0;
};

struct keyword_argument {
  std::string_view name;
  value content;
};

struct arguments {
  std::span<const value> positional;
  std::span<const keyword_argument> named;
};

using filter_function = value (*)(interpreter&, const value& input, const arguments&);
using test_function = bool (*)(interpreter&, const value& input, const arguments&);
using callable_function = value (*)(interpreter&, const arguments&);

struct function_entry {
  std::string_view name;
  callable_function call;
};

struct bound_method {
  value self;
  std::string_view name;
  filter_function call;
};

/// The name of a value's type, as Python calls it, for messages.
std::string_view type_name(const value&);

} // namespace troupe::text::jinja
