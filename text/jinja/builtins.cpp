// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/builtins.hpp"

#include "text/jinja/builtin_tables.hpp"

namespace troupe::text::jinja {

namespace {

filter_function find_in(const filter_table& table, std::string_view name) {
  const auto found = table.find(name);
  return found != table.end() ? found->second : nullptr;
}

} // namespace

filter_function find_filter(std::string_view name) {
  for (const auto* table : {&text_filters(), &number_filters(), &sequence_filters(), &selection_filters()})
    if (const auto found = find_in(*table, name))
      return found;
  return nullptr;
}

filter_function find_method(kind type, std::string_view name) {
  switch (type) {
    case kind::string:
      for (const auto* table : {&case_methods(), &search_methods(), &split_methods()})
        if (const auto found = find_in(*table, name))
          return found;
      return nullptr;
    case kind::dict: return find_in(dict_methods(), name);
    case kind::list: return find_in(list_methods(), name);
    case kind::tuple:
    case kind::range: return find_in(sequence_methods(), name);
    case kind::loop: return find_in(loop_methods(), name);
    case kind::cycler: return find_in(cycler_methods(), name);
    default: return nullptr;
  }
}

} // namespace troupe::text::jinja
