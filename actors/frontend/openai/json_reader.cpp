// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/openai/json_reader.hpp"

#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace troupe::openai {

using simdjson::dom::element_type;

namespace {

unexpected<api_error> wrong_type(std::string_view field, json value, std::string_view wanted) {
  return refuse(std::string{field}, fmt::format("'{}' must be {}, not {}", field, wanted, show(value)));
}

} // namespace

std::string show(json value) {
  constexpr std::size_t bytes_max = 64;
  // A container may be megabytes long: written out only to be cut.
  switch (value.type()) {
    case element_type::ARRAY: return "an array";
    case element_type::OBJECT: return "an object";
    default: break;
  }
  std::string text = simdjson::minify(value);
  if (text.size() > bytes_max) {
    std::size_t end = bytes_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
      --end;
    text.resize(end);
    text += "…";
  }
  return text;
}

result<bool> read_bool(std::string_view field, json value) {
  bool out = false;
  if (value.get(out))
    return wrong_type(field, value, "true or false");
  return out;
}

result<std::string> read_string(std::string_view field, json value) {
  std::string_view out;
  if (value.get(out))
    return wrong_type(field, value, "a string");
  return std::string{out};
}

result<float> read_float(std::string_view field, json value, double least, double most) {
  double out = 0;
  if (value.get(out))
    return wrong_type(field, value, "a number");
  if (!(out >= least && out <= most))
    return refuse(std::string{field},
                  fmt::format("'{}' is {}, but must be between {} and {}", field, show(value), least, most));
  return static_cast<float>(out);
}

result<std::int64_t> read_integer(std::string_view field, json value, std::int64_t least, std::int64_t most) {
  std::int64_t out = 0;
  bool fits = !value.get(out);
  if (double number = 0; !fits && !value.get(number)) {
    if (number != std::trunc(number))
      return wrong_type(field, value, "an integer");
    // Beyond 2^53 a double does not say which integer was meant.
    fits = std::abs(number) <= 9007199254740992.0;
    out = fits ? static_cast<std::int64_t>(number) : 0;
  } else if (!fits) {
    return wrong_type(field, value, "an integer");
  }
  if (!fits || out < least || out > most)
    return refuse(std::string{field},
                  fmt::format("'{}' is {}, but must be between {} and {}", field, show(value), least, most));
  return out;
}

result<std::vector<token_id>> read_token_ids(std::string_view field, json value) {
  simdjson::dom::array items;
  if (value.get(items))
    return wrong_type(field, value, "an array of token ids");
  std::vector<token_id> out;
  for (json item : items) {
    auto id = read_integer(field, item, 0, std::numeric_limits<token_id>::max());
    if (!id)
      return unexpected{id.error()};
    out.push_back(static_cast<token_id>(*id));
  }
  return out;
}

bool is_nothing(json value) {
  switch (value.type()) {
    case element_type::NULL_VALUE: return true;
    case element_type::BOOL: return !bool{value};
    case element_type::STRING: return std::string_view{value}.empty();
    case element_type::ARRAY: return simdjson::dom::array{value}.size() == 0;
    case element_type::OBJECT: return simdjson::dom::object{value}.size() == 0;
    default: return false;
  }
}

} // namespace troupe::openai
