// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "text/jinja/attribute_path.hpp"
#include "text/jinja/builtin_tables.hpp"
#include "text/jinja/builtins.hpp"
#include "text/jinja/interpreter.hpp"
#include "text/jinja/text_operations.hpp"

namespace troupe::text::jinja {

namespace {

bool flag(runtime& rt, const value* v) { return v != nullptr && is_true(rt, *v); }

fold_case folding(runtime& rt, const value* case_sensitive) {
  return flag(rt, case_sensitive) ? fold_case::no : fold_case::yes;
}

value length(interpreter& in, const value& input, const arguments& args) {
  const bound_arguments none{in.rt(), "length", args, {}};
  return value::number(static_cast<std::int64_t>(length_of(in.rt(), input)));
}

value list(interpreter& in, const value& input, const arguments& args) {
  const bound_arguments none{in.rt(), "list", args, {}};
  return make_list(in.rt(), items_of(in.rt(), input));
}

value first(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments none{rt, "first", args, {}};
  if (input.is(kind::iterator)) { // takes one and leaves the rest
    auto& it = *input.iterator;
    if (it.position < it.items.size)
      return it.items.items[it.position++];
    items_of(rt, input); // for its fault
    return value::missing("the first item");
  }
  if (input.is(kind::string))
    return input.size != 0 ? *find_item(rt, input, value::number(std::int64_t{0})) : value::missing("the first item");
  const auto items = items_of(rt, input);
  return items.empty() ? value::missing("the first item") : items.front();
}

value last(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments none{rt, "last", args, {}};
  if (input.is(kind::iterator))
    rt.fail("'last' does not work with what can be walked only forwards; make it a list first");
  const auto items = items_of(rt, input);
  return items.empty() ? value::missing("the last item") : items.back();
}

value join(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "join", args, {"d", "attribute"}};
  const std::string_view separator = bound[0] != nullptr ? to_text(rt, *bound[0]) : std::string_view{};
  const attribute_path path{rt, bound[1]};
  text_builder out{rt.memory};
  bool is_first = true;
  for (const value& item : items_of(rt, input)) {
    rt.charge();
    if (!is_first)
      out += separator;
    is_first = false;
    out += to_text(rt, path.of(in, item));
  }
  return as_string(rt, out);
}

value items(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments none{rt, "items", args, {}};
  return generate(rt, [&](growing<value>& pairs) {
    if (input.is(kind::undefined))
      return;
    if (!input.is(kind::dict))
      rt.fail("'items' takes a dict, not " + std::string{type_name(input)});
    for (std::uint32_t i = 0; i < input.dict->size; ++i) {
      const value pair[] = {input.dict->entries[i].key, input.dict->entries[i].content};
      pairs.push(make_tuple(rt, pair));
    }
  });
}

struct keyed {
  value key;
  value item;
};

/// Stable, by key; Python's reverse keeps equal items in order too.
void sort_by_key(runtime& rt, growing<keyed>& items, const value* reverse) {
  if (reverse != nullptr && expect_integer(rt, *reverse, "'reverse'") != 0)
    std::stable_sort(items.begin(), items.end(),
                     [&rt](const keyed& a, const keyed& b) { return less(rt, b.key, a.key); });
  else
    std::stable_sort(items.begin(), items.end(),
                     [&rt](const keyed& a, const keyed& b) { return less(rt, a.key, b.key); });
}

value without_keys(runtime& rt, const growing<keyed>& sorted) {
  growing<value> out{rt.memory};
  for (const auto& entry : sorted)
    out.push(entry.item);
  return as_list(rt, out);
}

value dictsort(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "dictsort", args, {"case_sensitive", "by", "reverse"}};
  const std::string_view by = bound[1] != nullptr ? expect_string(rt, *bound[1], "what to sort by") : "key";
  if (by != "key" && by != "value")
    rt.fail("'dictsort' sorts by key or by value");
  if (input.is(kind::undefined))
    fail_undefined(rt, input);
  if (!input.is(kind::dict))
    rt.fail("'dictsort' takes a dict, not " + std::string{type_name(input)});
  growing<keyed> pairs{rt.memory};
  for (std::uint32_t i = 0; i < input.dict->size; ++i) {
    const auto& entry = input.dict->entries[i];
    const value pair[] = {entry.key, entry.content};
    pairs.push({comparison_key(rt, pair[by == "key" ? 0 : 1], folding(rt, bound[0])), make_tuple(rt, pair)});
  }
  sort_by_key(rt, pairs, bound[2]);
  return without_keys(rt, pairs);
}

value sort(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "sort", args, {"reverse", "case_sensitive", "attribute"}};
  const fold_case fold = folding(rt, bound[1]);
  // "a,b" sorts by a, then by b: the key is always a list.
  std::vector<attribute_path> paths;
  if (bound[2] != nullptr && bound[2]->is(kind::string)) {
    std::string_view rest = bound[2]->text();
    while (true) {
      const value part = value::string(rest.substr(0, rest.find(',')));
      paths.emplace_back(rt, &part);
      if (part.size == rest.size())
        break;
      rest.remove_prefix(part.size + 1);
    }
  } else {
    paths.emplace_back(rt, bound[2]);
  }
  growing<keyed> entries{rt.memory};
  for (const value& item : items_of(rt, input)) {
    growing<value> key{rt.memory};
    for (const auto& path : paths)
      key.push(comparison_key(rt, path.of(in, item), fold));
    entries.push({as_list(rt, key), item});
  }
  sort_by_key(rt, entries, bound[0]);
  return without_keys(rt, entries);
}

value unique(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "unique", args, {"case_sensitive", "attribute"}};
  return generate(rt, [&](growing<value>& out) {
    const attribute_path path{rt, bound[1]};
    dict_builder seen{rt};
    for (const value& item : items_of(rt, input))
      if (seen.insert(comparison_key(rt, path.of(in, item), folding(rt, bound[0])), value::none()))
        out.push(item);
  });
}

template <class Better>
value extreme(interpreter& in, const value& input, const arguments& args, std::string_view name, Better better) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, name, args, {"case_sensitive", "attribute"}};
  const attribute_path path{rt, bound[1]};
  const auto items = items_of(rt, input);
  if (items.empty())
    return value::missing("the extreme of an empty sequence");
  const auto key_of = [&](const value& item) { return comparison_key(rt, path.of(in, item), folding(rt, bound[0])); };
  keyed best{key_of(items[0]), items[0]};
  for (const value& item : items.subspan(1))
    if (const value key = key_of(item); better(key, best.key))
      best = {key, item};
  return best.item;
}

value min(interpreter& in, const value& input, const arguments& args) {
  return extreme(in, input, args, "min", [&](const value& a, const value& b) { return less(in.rt(), a, b); });
}

value max(interpreter& in, const value& input, const arguments& args) {
  return extreme(in, input, args, "max", [&](const value& a, const value& b) { return less(in.rt(), b, a); });
}

value sum(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "sum", args, {"attribute", "start"}};
  const attribute_path path{rt, bound[0]};
  value total = bound[1] != nullptr ? *bound[1] : value::number(std::int64_t{0});
  if (total.is(kind::string))
    rt.fail("'sum' does not join strings");
  for (const value& item : items_of(rt, input))
    total = calculate(rt, arithmetic_op::add, total, path.of(in, item));
  return total;
}

value reverse(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments none{rt, "reverse", args, {}};
  if (input.is(kind::string)) {
    const value step = value::number(std::int64_t{-1});
    return slice(rt, input, nullptr, nullptr, &step);
  }
  const auto items = items_of(rt, input);
  growing<value> out{rt.memory};
  out.append(items.data(), items.size());
  std::reverse(out.begin(), out.end());
  return input.is(kind::iterator) ? as_list(rt, out) : as_iterator(rt, out);
}

value batch(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "batch", args, {"linecount", "fill_with"}, 1};
  return generate(rt, [&](growing<value>& out) {
    const bool fill = bound[1] != nullptr && !bound[1]->is(kind::none);
    growing<value> row{rt.memory};
    const auto full = [&] {
      return compare(rt, comparison_op::equal, value::number(static_cast<std::int64_t>(row.size())), *bound[0]);
    };
    for (const value& item : items_of(rt, input)) {
      rt.charge();
      if (full()) {
        out.push(as_list(rt, row));
        row = growing<value>{rt.memory};
      }
      row.push(item);
    }
    if (row.empty())
      return;
    while (fill && static_cast<std::int64_t>(row.size()) < expect_integer(rt, *bound[0], "the size of 'batch'")) {
      rt.charge();
      row.push(*bound[1]);
    }
    out.push(as_list(rt, row));
  });
}

value slices(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "slice", args, {"slices", "fill_with"}, 1};
  return generate(rt, [&](growing<value>& out) {
    const auto items = items_of(rt, input);
    const std::int64_t count = expect_integer(rt, *bound[0], "the count of 'slice'");
    if (count == 0)
      rt.fail("division by zero");
    const bool fill = bound[1] != nullptr && !bound[1]->is(kind::none);
    const std::int64_t each = count > 0 ? static_cast<std::int64_t>(items.size()) / count : 0;
    const std::int64_t longer = count > 0 ? static_cast<std::int64_t>(items.size()) % count : 0;
    std::size_t at = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      rt.charge();
      const auto size = static_cast<std::size_t>(each + (i < longer ? 1 : 0));
      growing<value> column{rt.memory};
      column.append(items.data() + at, size);
      if (fill && i >= longer)
        column.push(*bound[1]);
      out.push(as_list(rt, column));
      at += size;
    }
  });
}

value group_by(interpreter& in, const value& input, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "groupby", args, {"attribute", "default", "case_sensitive"}, 1};
  const attribute_path path{rt, bound[0]};
  growing<keyed> entries{rt.memory};
  for (const value& item : items_of(rt, input))
    entries.push({comparison_key(rt, path.of(in, item, bound[1]), folding(rt, bound[2])), item});
  sort_by_key(rt, entries, nullptr);
  growing<value> groups{rt.memory};
  for (std::size_t i = 0; i < entries.size();) {
    growing<value> members{rt.memory};
    const keyed& head = entries[i];
    for (; i < entries.size() && equal(rt, entries[i].key, head.key); ++i)
      members.push(entries[i].item);
    if (members.empty())
      members.push(entries[i++].item); // a NaN equals nothing, not even itself
    const value pair[] = {path.of(in, head.item, bound[1]), as_list(rt, members)};
    value group = make_tuple(rt, pair);
    group.marked = true;
    groups.push(group);
  }
  return as_list(rt, groups);
}

} // namespace

const filter_table& sequence_filters() {
  static const filter_table table{
    {"length", length}, {"count", length},     {"list", list},         {"first", first},     {"last", last},
    {"join", join},     {"items", items},      {"dictsort", dictsort}, {"sort", sort},       {"unique", unique},
    {"min", min},       {"max", max},          {"sum", sum},           {"reverse", reverse}, {"batch", batch},
    {"slice", slices},  {"groupby", group_by},
  };
  return table;
}

} // namespace troupe::text::jinja
