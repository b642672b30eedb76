// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/openai/response_writer.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "actors/frontend/http_status.hpp"
#include "actors/frontend/openai/api_error.hpp"
#include "actors/frontend/openai/json_writer.hpp"
#include "actors/frontend/openai/logprob_writer.hpp"
#include "tests/support/byte_model.hpp"

using namespace troupe;
using namespace troupe::openai;

TEST_CASE("strings are escaped as JSON wants, and what is not UTF-8 is replaced") {
  std::string all;
  for (int c = 0; c < 128; ++c)
    all += static_cast<char>(c);
  all += "é€😀\u2028";
  std::string out;
  append_utf8_string(out, all);
  CHECK(nlohmann::json::parse(out).get<std::string>() == all);
  out.clear();
  append_string(out, "a\xff\x62\xe2\x82");
  CHECK(out == "\"a\uFFFDb\uFFFD\"");
}

TEST_CASE("numbers are valid JSON, infinities included") {
  for (float x : {0.0f, -0.5f, 1e-30f, 1e30f, -3.4028235e38f}) {
    std::string out;
    append_float(out, x);
    CHECK(nlohmann::json::parse(out).get<float>() == x);
  }
  std::string out;
  append_float(out, -std::numeric_limits<float>::infinity());
  append_float(out, std::nanf(""));
  CHECK(out == "-9999-9999");
}

TEST_CASE("chat events have the bytes that OpenAI's have") {
  const event_writer events{{api::chat, "chatcmpl-1", 7, "m", false}, false};
  std::string out;
  events.append_role(out, 1);
  events.append_delta(out, {1, "a\"b", {}, finish_reason::none});
  events.append_delta(out, {1, {}, {}, finish_reason::length});
  CHECK(
    out
    == R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"m","choices":[{"index":1,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]})"
       "\n\n"
       R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"m","choices":[{"index":1,"delta":{"content":"a\"b"},"logprobs":null,"finish_reason":null}]})"
       "\n\n"
       R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"m","choices":[{"index":1,"delta":{},"logprobs":null,"finish_reason":"length"}]})"
       "\n\n");
}

TEST_CASE("completion events have the bytes that OpenAI's have") {
  const event_writer events{{api::completions, "cmpl-1", 7, "m", true}, true};
  std::string out;
  events.append_role(out, 0);
  events.append_delta(out, {0, "x", R"({"tokens":[]})", finish_reason::stop});
  events.append_usage(out, {3, 2, 4});
  std::string mixed;
  events.append_usage(mixed, {3, 2, 4, true});
  CHECK(mixed.find(R"("prompt_tokens_details":{"cached_tokens":2},"mixed_workers":true}})") != std::string::npos);
  CHECK(
    out
    == R"(data: {"id":"cmpl-1","object":"text_completion","created":7,"model":"m","system_fingerprint":"mock","choices":[{"index":0,"text":"x","logprobs":{"tokens":[]},"finish_reason":"stop"}],"usage":null})"
       "\n\n"
       R"(data: {"id":"cmpl-1","object":"text_completion","created":7,"model":"m","system_fingerprint":"mock","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":2}}})"
       "\n\n");
}

TEST_CASE("whole answers are JSON of OpenAI's shape") {
  const std::vector<response_choice> choices{{"a", {}, finish_reason::stop},
                                             {"b", R"({"content":[]})", finish_reason::length}};
  const auto chat = nlohmann::json::parse(whole_body({api::chat, "i", 1, "m", false}, choices, {5, 1, 2}));
  CHECK(chat["object"] == "chat.completion");
  CHECK(chat["choices"][1]["message"]["content"] == "b");
  CHECK(chat["choices"][1]["index"] == 1);
  CHECK(chat["choices"][1]["logprobs"]["content"].empty());
  CHECK(chat["choices"][0]["finish_reason"] == "stop");
  CHECK(chat["usage"]["total_tokens"] == 7);
  const auto text = nlohmann::json::parse(whole_body({api::completions, "i", 1, "m", false}, choices, {}));
  CHECK(text["object"] == "text_completion");
  CHECK(text["choices"][0]["text"] == "a");
}

TEST_CASE("log-probabilities have both of OpenAI's shapes, also for tokens that are part of a character") {
  const auto model = test::byte_model();
  const std::vector<sampled_token> tokens{{'a', -0.5f, {{'a', -0.5f}, {0xC3, -1.5f}}}, {0xC3, -2, {}}, {0xA9, -3, {}}};
  logprob_writer chat{api::chat, *model.tokenizer};
  logprob_writer text{api::completions, *model.tokenizer};
  CHECK(chat.take().empty());
  for (const auto& t : tokens) {
    chat.add(t);
    text.add(t);
  }
  CHECK(
    chat.take()
    == R"({"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"a","logprob":-0.5,"bytes":[97]},{"token":"�","logprob":-1.5,"bytes":[195]}]},{"token":"�","logprob":-2,"bytes":[195],"top_logprobs":[]},{"token":"�","logprob":-3,"bytes":[169],"top_logprobs":[]}],"refusal":null})");
  CHECK(
    text.take()
    == R"({"tokens":["a","bytes:\\xc3","bytes:\\xa9"],"token_logprobs":[-0.5,-2,-3],"top_logprobs":[{"a":-0.5,"bytes:\\xc3":-1.5},{},{}],"text_offset":[0,1,2]})");
  CHECK(chat.take().empty());
}

TEST_CASE("every error has a status of the 4xx or 5xx range, and Retry-After only where trying again helps") {
  for (std::uint8_t i = 1; i <= static_cast<std::uint8_t>(errc::internal); ++i) {
    const auto shape = http_shape_of(static_cast<errc>(i));
    CHECK(shape.status >= 400);
    CHECK(shape.status < 600);
    CHECK((shape.retry_after_seconds > 0) == (shape.status == 503));
    const auto body = nlohmann::json::parse(error_body({static_cast<errc>(i), "a \"b\"", "p"}));
    CHECK(body["error"]["message"] == "a \"b\"");
    CHECK(body["error"]["param"] == "p");
    CHECK(body["error"].contains("type"));
    CHECK(body["error"].contains("code"));
  }
}
