// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/openai/chat_messages.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "actors/frontend/openai/json_writer.hpp"

namespace troupe::openai {

using simdjson::dom::element_type;

namespace {

constexpr std::array<std::string_view, 6> roles{"system", "developer", "user", "assistant", "tool", "function"};

result<std::string> read_role(std::size_t index, json value) {
  const auto field = fmt::format("messages[{}].role", index);
  auto role = read_string(field, value);
  if (role && std::find(roles.begin(), roles.end(), *role) == roles.end())
    return refuse(field, fmt::format("'{}' is {}, but must be one of {}", field, show(value), fmt::join(roles, ", ")));
  if (role && *role == "developer")
    return std::string{"system"};
  return role;
}

result<std::string> read_part(const std::string& field, json part) {
  std::string_view type;
  std::string_view text;
  if (part.type() != element_type::OBJECT || part["type"].get(type))
    return refuse(field, fmt::format("'{}' must be an object with a string 'type'", field));
  if (type != "text" && type != "refusal")
    return refuse(field + ".type", fmt::format("'{}.type' is \"{}\", but only \"text\" is supported", field, type));
  if (part[type].get(text))
    return refuse(field, fmt::format("'{}' must have a string '{}'", field, type));
  return std::string{text};
}

/// A string, null, or a list of text parts, which are put together.
result<std::string> read_content(std::size_t index, json value) {
  const auto field = fmt::format("messages[{}].content", index);
  if (value.type() == element_type::STRING)
    return std::string{std::string_view{value}};
  simdjson::dom::array parts;
  if (value.get(parts))
    return refuse(field, fmt::format("'{}' must be a string or a list of parts, not {}", field, show(value)));
  std::string text;
  std::size_t part = 0;
  for (json item : parts) {
    auto piece = read_part(fmt::format("{}[{}]", field, part++), item);
    if (!piece)
      return piece;
    text += *piece;
  }
  return text;
}

result<std::string> read_message(std::size_t index, json value) {
  simdjson::dom::object members;
  if (value.get(members))
    return refuse("messages", fmt::format("'messages[{}]' must be an object, not {}", index, show(value)));
  std::string out = "{";
  bool has_role = false;
  for (auto member : members) {
    if (out.size() > 1)
      out += ',';
    append_utf8_string(out, member.key);
    out += ':';
    const bool is_role = member.key == "role";
    if (is_role || (member.key == "content" && !member.value.is_null())) {
      auto text = is_role ? read_role(index, member.value) : read_content(index, member.value);
      if (!text)
        return text;
      append_utf8_string(out, *text);
      has_role = has_role || is_role;
    } else {
      out += std::string{simdjson::minify(member.value)};
    }
  }
  if (!has_role)
    return refuse(fmt::format("messages[{}].role", index), fmt::format("'messages[{}]' has no 'role'", index));
  out += '}';
  return out;
}

} // namespace

result<std::string> read_chat_messages(json messages) {
  simdjson::dom::array items;
  if (messages.get(items))
    return refuse("messages", fmt::format("'messages' must be an array, not {}", show(messages)));
  if (items.size() == 0)
    return refuse("messages", "'messages' must have at least one message");
  std::string out = "[";
  std::size_t index = 0;
  for (json item : items) {
    auto message = read_message(index, item);
    if (!message)
      return message;
    if (index++ > 0)
      out += ',';
    out += *message;
  }
  out += ']';
  return out;
}

} // namespace troupe::openai
