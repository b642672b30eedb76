// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "text/jinja/ast.hpp"
#include "text/jinja/runtime.hpp"
#include "text/jinja/value.hpp"

namespace troupe::text::jinja {

// What Python's operators and conversions do. All of them throw fault where Python raises.

// -- making values (values.cpp)
value make_string(runtime&, std::string_view copied);
value make_list(runtime&, std::span<const value> copied);
value make_tuple(runtime&, std::span<const value> copied);
/// Takes over what a growing array holds.
value as_list(runtime&, const growing<value>&);
value as_tuple(runtime&, const growing<value>&);
value as_string(runtime&, const text_builder&);
value as_iterator(runtime&, const growing<value>&);
/// Marks the iterator as one that fails after its items. Limits do not wait: they are rethrown.
value with_fault(runtime&, value iterator, const template_error&);
/// An iterator over what produce(growing<value>&) pushes.
template <class Producer>
value generate(runtime& rt, Producer produce) {
  growing<value> out{rt.memory};
  try {
    produce(out);
  } catch (const fault& f) {
    return with_fault(rt, as_iterator(rt, out), f.error);
  }
  return as_iterator(rt, out);
}
value make_range(runtime&, const range_bounds&);

/// Collects the entries of a dict, or the members of a set.
class dict_builder {
public:
  explicit dict_builder(runtime& rt) : rt_(rt), entries_(rt.memory), slots_(rt.memory) {}
  /// True if the key is new; else its value is replaced and its place kept.
  bool insert(const value& key, const value& content);
  value finish();

private:
  void rehash(std::uint32_t slot_count);

  runtime& rt_;
  growing<dict_entry> entries_;
  growing<std::uint32_t> slots_;
};

/// nullptr if there is none. An unhashable key is an error.
const value* find(runtime&, const dictionary&, const value& key);
const value* find(runtime&, const dictionary&, std::string_view key);

/// Deep conversion; strings are viewed, not copied.
value from_json(runtime&, const nlohmann::ordered_json&);

// -- reading values (values.cpp)
bool is_true(runtime&, const value&);
/// The items that iterating gives: characters of a string, keys of a dict. Walks an iterator to its end.
std::span<const value> items_of(runtime&, const value&);
std::uint64_t length_of(runtime&, const value&);
/// Fails unless it is of that type; `what` is for the message.
std::string_view expect_string(runtime&, const value&, std::string_view what);
std::int64_t expect_integer(runtime&, const value&, std::string_view what);
[[noreturn]] void fail_undefined(runtime&, const value&);

// -- text forms (representation.cpp, number_text.cpp, json_text.cpp)
/// Python's str(), a view where the value is a string already.
std::string_view to_text(runtime&, const value&);
void append_representation(runtime&, text_builder&, const value&);
std::string number_text(double);
struct json_format {
  std::optional<std::string_view> indent;
  std::string_view item_separator = ", ";
  std::string_view key_separator = ": ";
  bool ascii = false;
  bool sorted = false;
};
void append_json(runtime&, text_builder&, const value&, const json_format&);

// -- operators (comparison.cpp, arithmetic.cpp, subscript.cpp)
bool equal(runtime&, const value&, const value&);
/// a < b. Fails on types without an order between them.
bool less(runtime&, const value&, const value&);
bool compare(runtime&, comparison_op, const value&, const value&);
bool contains(runtime&, const value& container, const value& item);
std::uint64_t hash_of(runtime&, const value&);
value calculate(runtime&, arithmetic_op, const value&, const value&);
value negate(runtime&, const value&);
value slice(runtime&, const value& object, const value* start, const value* stop, const value* step);
/// object[key] for sequences and dicts; nothing where Python raises KeyError, IndexError or TypeError.
std::optional<value> find_item(runtime&, const value& object, const value& key);

/// Rounds half to even on the exact value, as Python's round().
double round_to(double x, std::int64_t digits);
/// a*b, or a failure that names the overflow. Integers have 64 bits here.
std::int64_t checked_multiply(runtime&, std::int64_t, std::int64_t);

} // namespace troupe::text::jinja
