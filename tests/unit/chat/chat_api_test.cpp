// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/chat/chat_api.hpp"

#include <doctest/doctest.h>

using namespace troupe::chat;

namespace {

std::string text_of(std::string_view data) {
  const auto what = read_stream_event(data);
  const auto* text = std::get_if<stream_text>(&what);
  return text != nullptr ? text->text : "(no text)";
}

std::string error_of(std::string_view data) {
  const auto what = read_stream_event(data);
  const auto* error = std::get_if<stream_error>(&what);
  return error != nullptr ? error->message : "(no error)";
}

} // namespace

TEST_CASE("a request carries model, turns and stream") {
  CHECK(request_body("m", {{"user", "say \"hi\"\n"}, {"assistant", "\xff"}})
        == "{\"messages\":[{\"content\":\"say "
           "\\\"hi\\\"\\n\",\"role\":\"user\"},{\"content\":\"\xEF\xBF\xBD\",\"role\":\"assistant\"}],"
           "\"model\":\"m\",\"stream\":true,\"temperature\":0}");
}

TEST_CASE("events of a stream are text, an error or the end") {
  CHECK(text_of(R"({"choices":[{"delta":{"content":"hi"}}]})") == "hi");
  CHECK(text_of(R"({"choices":[{"delta":{"role":"assistant","content":null}}]})").empty());
  CHECK(text_of(R"({"choices":[],"usage":{}})").empty());
  CHECK(error_of(R"({"error":{"message":"worker lost","type":"x"}})") == "worker lost");
  CHECK(std::holds_alternative<stream_done>(read_stream_event("[DONE]")));
}

TEST_CASE("events of a server that is not what it should be do no harm") {
  CHECK(error_of("[1]").find("not a JSON object") != std::string::npos);
  CHECK(error_of("{").find("not a JSON object") != std::string::npos);
  CHECK(error_of(std::string(100'000, '[')).find("not a JSON object") != std::string::npos);
  for (auto data : {R"({"choices":[1]})", R"({"choices":{"delta":1}})", R"({"choices":[{"delta":[]}]})",
                    R"({"choices":[{"delta":{"content":1}}]})"})
    CHECK(text_of(data).empty());
  CHECK(error_of(R"({"error":"x"})") == R"({"error":"x"})");
}

TEST_CASE("the first model of the list is taken") {
  CHECK(first_model(R"({"data":[{"id":"a"},{"id":"b"}]})") == "a");
  for (auto body : {"", "[]", R"({"data":[]})", R"({"data":[{"id":1}]})", R"({"data":["a"]})"})
    CHECK_FALSE(first_model(body));
}

TEST_CASE("an error body shows its message, or its beginning") {
  CHECK(error_message(R"({"error":{"message":"no such model"}})") == "no such model");
  CHECK(error_message("<html>") == "<html>");
  CHECK(error_message(std::string(10'000, 'x')).size() == 500);
}
