// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace troupe::chat {

/// One turn of a conversation, as OpenAI's API has it.
struct turn {
  std::string role;
  std::string content;
};

/// Body of POST /v1/chat/completions with streaming. Bytes that are not UTF-8 become U+FFFD.
std::string request_body(const std::string& model, const std::vector<turn>& turns);

/// The first model of GET /v1/models; nullopt if the body is not such a list or the list is empty.
std::optional<std::string> first_model(std::string_view body);

/// The message of an error body, or the body's beginning if it is not in OpenAI's shape.
std::string error_message(std::string_view body);

/// A part of the answer's text, possibly empty.
struct stream_text {
  std::string text;
};
/// "[DONE]".
struct stream_done {};
struct stream_error {
  std::string message;
};

/// What the data of one event of a streamed answer says.
std::variant<stream_text, stream_done, stream_error> read_stream_event(std::string_view data);

} // namespace troupe::chat
