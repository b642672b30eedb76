// SPDX-License-Identifier: Apache-2.0
#include "tests/support/stream_client.hpp"

#include <nlohmann/json.hpp>

namespace troupe::test {

stream_client::stream_client(std::uint16_t port, std::string_view body) : http_(port) {
  http_.send(post("/v1/completions", body));
}

bool stream_client::read_text(std::size_t characters, std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (text_.size() < characters)
    if (done_ || !read_some(until))
      return false;
  return true;
}

bool stream_client::read_to_end(std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (!done_)
    if (!read_some(until))
      return false;
  return true;
}

bool stream_client::read_some(std::chrono::steady_clock::time_point until) {
  const auto left = until - std::chrono::steady_clock::now();
  if (left <= left.zero())
    return false;
  const auto bytes = http_.receive_some(std::chrono::ceil<std::chrono::milliseconds>(left));
  if (bytes.empty())
    return false;
  // Chunk framing lies between the events and never inside the one line of an event.
  unread_ += bytes;
  for (auto begin = unread_.find("data: "); begin != std::string::npos; begin = unread_.find("data: ")) {
    const auto end = unread_.find("\n\n", begin);
    if (end == std::string::npos)
      break;
    take_event(std::string_view{unread_}.substr(begin + 6, end - begin - 6));
    unread_.erase(0, end + 2);
  }
  return true;
}

void stream_client::take_event(std::string_view data) {
  if (data == "[DONE]") {
    done_ = true;
    return;
  }
  const auto event = nlohmann::json::parse(data, nullptr, false);
  if (event.contains("error")) {
    failure_ = event["error"].value("message", "an error without a message");
    return;
  }
  for (const auto& choice : event.value("choices", nlohmann::json::array())) {
    const auto part = choice.value("text", std::string{});
    if (!part.empty()) {
      last_text_at_ = std::chrono::steady_clock::now();
      if (text_.empty())
        first_text_at_ = last_text_at_;
      text_ += part;
    }
    if (choice.contains("finish_reason") && choice["finish_reason"].is_string())
      finish_ = choice["finish_reason"];
  }
}

std::string stream_body(std::uint32_t number, std::uint32_t prompt_tokens, std::uint32_t output_tokens) {
  nlohmann::json prompt = nlohmann::json::array();
  for (std::uint32_t i = 0; i < prompt_tokens; ++i)
    prompt.push_back((i * 7 + number * 31 + 3) % 200);
  return nlohmann::json{
    {"model", "bytes"}, {"prompt", prompt}, {"max_tokens", output_tokens}, {"temperature", 0}, {"stream", true}}
    .dump();
}

} // namespace troupe::test
