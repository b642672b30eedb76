// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/attribute_path.hpp"

#include <algorithm>

#include "text/jinja/builtins.hpp"
#include "text/jinja/text_operations.hpp"

namespace troupe::text::jinja {

attribute_path::attribute_path(runtime& rt, const value* path) : parts_(rt.memory) {
  if (path == nullptr || path->is(kind::none))
    return;
  if (!path->is(kind::string)) {
    parts_.push(*path);
    return;
  }
  std::string_view rest = path->text();
  while (true) {
    rt.charge();
    const std::string_view part = rest.substr(0, rest.find('.'));
    const bool number =
      !part.empty() && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    const auto index = number ? parse_integer(rt, part, 10) : std::nullopt;
    parts_.push(index ? value::number(*index) : value::string(part));
    if (part.size() == rest.size())
      return;
    rest.remove_prefix(part.size() + 1);
  }
}

value attribute_path::of(interpreter& in, value item, const value* otherwise) const {
  for (const value& part : parts_) {
    in.rt().charge();
    item = in.item_of(item, part);
    if (otherwise != nullptr && !otherwise->is(kind::none) && item.is(kind::undefined))
      item = *otherwise;
  }
  return item;
}

value comparison_key(runtime& rt, const value& v, fold_case fold) {
  return fold == fold_case::yes && v.is(kind::string) ? convert_case(rt, v.text(), letter_case::lower) : v;
}

} // namespace troupe::text::jinja
