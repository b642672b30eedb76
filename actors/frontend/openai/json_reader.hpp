// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <simdjson.h>

#include "actors/frontend/openai/api_error.hpp"
#include "messages/ids.hpp"

// Typed reads of one JSON value, with errors that name field, value and bound.
namespace troupe::openai {

using json = simdjson::dom::element;

/// The value as it was written, cut to a length that fits an error message.
std::string show(json value);

result<bool> read_bool(std::string_view field, json value);
result<std::string> read_string(std::string_view field, json value);
/// A number from `least` to `most`, both allowed.
result<float> read_float(std::string_view field, json value, double least, double most);
/// An integer from `least` to `most`. 2.0 is an integer, 2.5 is not.
result<std::int64_t> read_integer(std::string_view field, json value, std::int64_t least, std::int64_t most);
/// Token ids; whether the vocabulary has them is for the caller to check.
result<std::vector<token_id>> read_token_ids(std::string_view field, json value);

/// null, false, "", [] or {}: what means "nothing" in any field.
bool is_nothing(json value);

} // namespace troupe::openai
