// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/chat/chat_api.hpp"

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace troupe::chat {

namespace {

using nlohmann::json;

constexpr int depth_max = 64;
constexpr std::size_t shown_bytes_max = 500;

// nullopt: not JSON, or nested too deeply.
std::optional<json> parse(std::string_view text) {
  const auto bounded = [](int depth, json::parse_event_t, json&) {
    if (depth > depth_max)
      throw std::length_error{"too deep"};
    return true;
  };
  try {
    return json::parse(text, bounded);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

// The string at a path of members, nullptr if there is none.
const std::string* find_string(const json& from, std::initializer_list<const char*> path) {
  const json* at = &from;
  for (const char* key : path) {
    const auto found = at->find(key);
    if (!at->is_object() || found == at->end())
      return nullptr;
    at = &*found;
  }
  return at->get_ptr<const std::string*>();
}

const json* first_of(const json& from, const char* key) {
  if (!from.is_object())
    return nullptr;
  const auto list = from.find(key);
  return list != from.end() && list->is_array() && !list->empty() ? &list->front() : nullptr;
}

} // namespace

std::string request_body(const std::string& model, const std::vector<turn>& turns) {
  json messages = json::array();
  for (const turn& x : turns)
    messages.push_back({{"role", x.role}, {"content", x.content}});
  // The same question gives the same answer, and small models wander at temperature 1, the API's default.
  const json body{{"model", model}, {"messages", std::move(messages)}, {"stream", true}, {"temperature", 0}};
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<std::string> first_model(std::string_view body) {
  const auto document = parse(body);
  const json* first = document ? first_of(*document, "data") : nullptr;
  const std::string* id = first != nullptr ? find_string(*first, {"id"}) : nullptr;
  return id != nullptr ? std::optional{*id} : std::nullopt;
}

std::string error_message(std::string_view body) {
  if (const auto document = parse(body))
    if (const std::string* message = find_string(*document, {"error", "message"}))
      return *message;
  return std::string{body.substr(0, shown_bytes_max)};
}

std::variant<stream_text, stream_done, stream_error> read_stream_event(std::string_view data) {
  if (data == "[DONE]")
    return stream_done{};
  const auto document = parse(data);
  if (!document || !document->is_object())
    return stream_error{"the server sent an event that is not a JSON object"};
  if (document->contains("error"))
    return stream_error{error_message(data)};
  const json* choice = first_of(*document, "choices"); // none in the event that carries the usage
  const std::string* text = choice != nullptr ? find_string(*choice, {"delta", "content"}) : nullptr;
  return stream_text{text != nullptr ? *text : ""};
}

} // namespace troupe::chat
