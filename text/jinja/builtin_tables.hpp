// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <unordered_map>

#include "text/jinja/value.hpp"

namespace troupe::text::jinja {

using filter_table = std::unordered_map<std::string_view, filter_function>;

// Each file of built-ins has one table; builtins.cpp searches them.
const filter_table& text_filters();
const filter_table& number_filters();
const filter_table& sequence_filters();
const filter_table& selection_filters();
const filter_table& case_methods();
const filter_table& search_methods();
const filter_table& split_methods();
const filter_table& dict_methods();
/// A list has them and copy().
const filter_table& sequence_methods();
const filter_table& list_methods();
const filter_table& loop_methods();
const filter_table& cycler_methods();

} // namespace troupe::text::jinja
