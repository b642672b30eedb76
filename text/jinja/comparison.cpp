// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "text/jinja/error.hpp"
#include "text/jinja/operations.hpp"

namespace troupe::text::jinja {

namespace {

// An integer of 64 bits and a double both fit a long double exactly on x86; elsewhere it is at least a double.
long double exact(const value& v) {
  return v.is(kind::real) ? static_cast<long double>(v.real) : static_cast<long double>(v.as_integer());
}

bool equal_lists(runtime& rt, std::span<const value> a, std::span<const value> b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [&rt](const value& x, const value& y) {
           return equal(rt, x, y);
         });
}

bool equal_dicts(runtime& rt, const dictionary& a, const dictionary& b) {
  if (a.size != b.size)
    return false;
  return std::all_of(a.entries, a.entries + a.size, [&](const dict_entry& entry) {
    const value* other = find(rt, b, entry.key);
    return other != nullptr && equal(rt, entry.content, *other);
  });
}

bool is_set_view(const value& v) { return v.is(kind::view) && v.view->part != view_part::values; }

bool equal_views(runtime& rt, const value& a, const value& b) {
  if (!is_set_view(a) || !is_set_view(b))
    return a.view == b.view;
  const auto items = items_of(rt, a);
  return items.size() == length_of(rt, b)
         && std::all_of(items.begin(), items.end(), [&](const value& item) { return contains(rt, b, item); });
}

} // namespace

bool equal(runtime& rt, const value& a, const value& b) {
  rt.charge();
  if (a.is_integral() && b.is_integral())
    return a.as_integer() == b.as_integer();
  if (a.is_number() && b.is_number())
    return exact(a) == exact(b);
  if (a.type != b.type)
    return false;
  const depth_guard guard{rt};
  switch (a.type) {
    case kind::undefined:
    case kind::none: return true;
    case kind::string:
      if (a.size != b.size)
        return false;
      rt.charge_bytes(a.size);
      return a.text() == b.text();
    case kind::list:
    case kind::tuple: return a.items == b.items || equal_lists(rt, a.list(), b.list());
    case kind::dict: return a.dict == b.dict || equal_dicts(rt, *a.dict, *b.dict);
    case kind::view: return equal_views(rt, a, b);
    case kind::range:
      return a.range->size == b.range->size
             && (a.range->size == 0
                 || (a.range->start == b.range->start && (a.range->size == 1 || a.range->step == b.range->step)));
    default: return a.chars == b.chars; // identity
  }
}

bool less(runtime& rt, const value& a, const value& b) {
  rt.charge();
  if (a.is(kind::undefined))
    fail_undefined(rt, a);
  if (b.is(kind::undefined))
    fail_undefined(rt, b);
  if (a.is_integral() && b.is_integral())
    return a.as_integer() < b.as_integer();
  if (a.is_number() && b.is_number())
    return exact(a) < exact(b);
  if (a.is(kind::string) && b.is(kind::string)) {
    rt.charge_bytes(std::min(a.size, b.size));
    return a.text() < b.text(); // bytes of UTF-8 are in the order of code points
  }
  if (a.type == b.type && (a.is(kind::list) || a.is(kind::tuple))) {
    const depth_guard guard{rt};
    const auto x = a.list();
    const auto y = b.list();
    for (std::size_t i = 0; i < x.size() && i < y.size(); ++i)
      if (!equal(rt, x[i], y[i]))
        return less(rt, x[i], y[i]);
    return x.size() < y.size();
  }
  rt.fail("there is no order between " + std::string{type_name(a)} + " and " + std::string{type_name(b)});
}

bool compare(runtime& rt, comparison_op op, const value& a, const value& b) {
  switch (op) {
    case comparison_op::equal: return equal(rt, a, b);
    case comparison_op::not_equal: return !equal(rt, a, b);
    case comparison_op::less: return less(rt, a, b);
    case comparison_op::greater: return less(rt, b, a);
    // Not the negation of less: every comparison with NaN is false.
    case comparison_op::less_equal: return less(rt, a, b) || equal(rt, a, b);
    case comparison_op::greater_equal: return less(rt, b, a) || equal(rt, a, b);
    case comparison_op::in: return contains(rt, b, a);
    case comparison_op::not_in: return !contains(rt, b, a);
  }
  return false;
}

bool contains(runtime& rt, const value& container, const value& item) {
  switch (container.type) {
    case kind::string: {
      if (!item.is(kind::string))
        rt.fail("only a string can be in a string, not " + std::string{type_name(item)});
      rt.charge_bytes(container.size);
      return container.text().find(item.text()) != std::string_view::npos;
    }
    case kind::dict: return find(rt, *container.dict, item) != nullptr;
    case kind::view:
      if (container.view->part == view_part::keys)
        return find(rt, *container.view->dict, item) != nullptr;
      [[fallthrough]];
    case kind::undefined:
    case kind::list:
    case kind::tuple:
    case kind::range:
    case kind::iterator: {
      const auto items = items_of(rt, container);
      return std::any_of(items.begin(), items.end(), [&](const value& x) { return equal(rt, x, item); });
    }
    default: rt.fail("nothing can be in a value of type " + std::string{type_name(container)});
  }
}

} // namespace troupe::text::jinja
