// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "text/jinja/error.hpp"
#include "text/jinja/operations.hpp"
#include "text/jinja/unicode.hpp"

namespace troupe::text::jinja {

namespace {

struct slice_bounds {
  std::int64_t start = 0;
  std::int64_t stop = 0;
  std::int64_t step = 1;
  std::int64_t count = 0;
};

/// Python's slice.indices().
slice_bounds bounds_of(runtime& rt, std::int64_t length, const value* start, const value* stop, const value* step) {
  const auto read = [&rt](const value* v) -> std::optional<std::int64_t> {
    if (v == nullptr || v->is(kind::none))
      return std::nullopt;
    return expect_integer(rt, *v, "a slice's bound");
  };
  slice_bounds b;
  b.step = read(step).value_or(1);
  if (b.step == 0)
    rt.fail("a slice's step cannot be zero");
  b.step = std::max<std::int64_t>(b.step, -INT64_MAX); // so that it can be negated
  const std::int64_t low = b.step > 0 ? 0 : -1;
  const std::int64_t high = b.step > 0 ? length : length - 1;
  const auto clamp = [&](std::optional<std::int64_t> x, std::int64_t otherwise) {
    if (!x)
      return otherwise;
    return std::clamp(*x < 0 ? *x + length : *x, low, high);
  };
  b.start = clamp(read(start), b.step > 0 ? low : high);
  b.stop = clamp(read(stop), b.step > 0 ? high : low);
  if (b.step > 0 && b.start < b.stop)
    b.count = (b.stop - b.start - 1) / b.step + 1;
  else if (b.step < 0 && b.start > b.stop)
    b.count = (b.start - b.stop - 1) / -b.step + 1;
  return b;
}

value slice_text(runtime& rt, const value& text, const value* start, const value* stop, const value* step) {
  const std::string_view s = text.text();
  const auto b = bounds_of(rt, static_cast<std::int64_t>(length_of(rt, text)), start, stop, step);
  rt.charge_bytes(s.size());
  if (b.count == 0)
    return value::string({});
  if (b.step == 1) {
    const auto from = offset_of(s, static_cast<std::size_t>(b.start));
    return value::string(s.substr(from, offset_of(s.substr(from), static_cast<std::size_t>(b.count))));
  }
  rt.charge(static_cast<std::uint64_t>(b.count));
  const auto characters = items_of(rt, text);
  text_builder out{rt.memory};
  for (std::int64_t i = 0; i < b.count; ++i)
    out += characters[static_cast<std::size_t>(b.start + i * b.step)].text();
  return as_string(rt, out);
}

std::optional<std::size_t> position(const value& key, std::uint64_t length) {
  if (!key.is_integral())
    return std::nullopt;
  const auto n = static_cast<std::int64_t>(length);
  const std::int64_t i = key.as_integer() < 0 ? key.as_integer() + n : key.as_integer();
  if (i < 0 || i >= n)
    return std::nullopt;
  return static_cast<std::size_t>(i);
}

} // namespace

value slice(runtime& rt, const value& object, const value* start, const value* stop, const value* step) {
  switch (object.type) {
    case kind::undefined: fail_undefined(rt, object);
    case kind::string: return slice_text(rt, object, start, stop, step);
    case kind::list:
    case kind::tuple: {
      const auto items = object.list();
      const auto b = bounds_of(rt, static_cast<std::int64_t>(items.size()), start, stop, step);
      rt.charge(static_cast<std::uint64_t>(b.count));
      growing<value> out{rt.memory};
      out.reserve(static_cast<std::size_t>(b.count));
      for (std::int64_t i = 0; i < b.count; ++i)
        out.push(items[static_cast<std::size_t>(b.start + i * b.step)]);
      return object.is(kind::list) ? as_list(rt, out) : as_tuple(rt, out);
    }
    case kind::range: {
      const auto b = bounds_of(rt, object.range->size, start, stop, step);
      const auto& r = *object.range;
      // A bound beyond the items may not fit; then it is as good as the start, since only printing reads it.
      const auto at = [&r](std::int64_t i) {
        std::int64_t x = 0;
        return __builtin_mul_overflow(i, r.step, &x) || __builtin_add_overflow(r.start, x, &x) ? r.start : x;
      };
      return make_range(rt, {at(b.start), at(b.stop), checked_multiply(rt, r.step, b.step), b.count});
    }
    default: rt.fail("a value of type " + std::string{type_name(object)} + " cannot be sliced");
  }
}

std::optional<value> find_item(runtime& rt, const value& object, const value& key) {
  switch (object.type) {
    case kind::undefined: fail_undefined(rt, object);
    case kind::dict: {
      try {
        const value* found = find(rt, *object.dict, key);
        return found != nullptr ? std::optional{*found} : std::nullopt;
      } catch (const fault& f) { // what cannot be a key is no key of it
        if (f.error.code == template_errc::limit_exceeded)
          throw;
        return std::nullopt;
      }
    }
    case kind::list:
    case kind::tuple:
      if (const auto i = position(key, object.items->size))
        return object.list()[*i];
      return std::nullopt;
    case kind::range:
      if (const auto i = position(key, static_cast<std::uint64_t>(object.range->size)))
        return value::number(object.range->start + static_cast<std::int64_t>(*i) * object.range->step);
      return std::nullopt;
    case kind::string: {
      if (!key.is_integral())
        return std::nullopt;
      const auto i = position(key, length_of(rt, object));
      if (!i)
        return std::nullopt;
      rt.charge_bytes(object.size);
      const std::string_view rest = object.text().substr(offset_of(object.text(), *i));
      return value::string(rest.substr(0, decode(rest, 0).size));
    }
    default: return std::nullopt;
  }
}

} // namespace troupe::text::jinja
