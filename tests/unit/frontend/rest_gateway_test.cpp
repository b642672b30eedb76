// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/support/frontend_fixture.hpp"
#include "tests/support/raw_http_client.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr auto chat_hello = R"({"model":"bytes","messages":[{"role":"user","content":"hello"}]})";
constexpr auto chat_stream = R"({"model":"bytes","stream":true,"messages":[{"role":"user","content":"hello"}]})";

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

} // namespace

TEST_CASE("a chat is answered with the text of its tokens") {
  frontend_fixture node;
  REQUIRE(node.port() != 0);
  raw_http_client client{node.port()};
  client.send(post("/v1/chat/completions", chat_hello));
  const auto session = node.sessions().wait_for(1).at(0);
  CHECK(session.request.model == "bytes");
  CHECK(std::string(session.request.prompt.begin(), session.request.prompt.end()) == "user:hello;");
  CHECK(session.request.output_tokens_max == 4096 - 11);
  CHECK(session.request.stop_tokens == std::vector<token_id>{byte_model_end});
  CHECK(node.feed(session.request, 0, "Hi "));
  CHECK(node.feed(session.request, 3, "you", finish_reason::stop));
  const auto answer = client.receive_answer();
  CHECK(answer.status == 200);
  CHECK(contains(answer.body, R"("message":{"role":"assistant","content":"Hi you","refusal":null})"));
  CHECK(contains(answer.body, R"("finish_reason":"stop")"));
  CHECK(contains(answer.body, R"("usage":{"prompt_tokens":11,"completion_tokens":6,"total_tokens":17,)"));
  CHECK(node.wait_for_open_streams(0));
  CHECK(node.sessions().wait_for_cancelled(1) == 1);
}
