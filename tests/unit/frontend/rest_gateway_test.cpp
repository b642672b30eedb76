// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <caf/actor_registry.hpp>
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/support/frontend_fixture.hpp"
#include "tests/support/raw_http_client.hpp"
#include "text/tokenizer.hpp"
#include "text/tokenizer_json/tokenizer_json.hpp"

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

TEST_CASE("a stream sends each token as it comes, then the reason and [DONE]") {
  frontend_fixture node;
  raw_http_client client{node.port()};
  client.send(post(
    "/v1/chat/completions",
    R"({"model":"bytes","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hello"}]})",
    "x-request-id: mine-7\r\n"));
  const auto request = node.sessions().wait_for(1).at(0).request;
  node.feed(request, 0, "a");
  CHECK(contains(client.receive_until(R"("delta":{"content":"a"})"), R"("delta":{"role":"assistant","content":""})"));
  node.feed(request, 1, "b");
  CHECK(contains(client.receive_until(R"("delta":{"content":"b"})"), R"("delta":{"content":"b"})"));
  node.feed(request, 2, "", finish_reason::length);
  const auto answer = client.receive_answer();
  CHECK(answer.status == 200);
  CHECK(contains(answer.head, "x-request-id: mine-7\r\n"));
  CHECK(contains(answer.head, "Content-Type: text/event-stream"));
  CHECK(contains(answer.body, R"("delta":{},"logprobs":null,"finish_reason":"length"}],"usage":null})"));
  CHECK(contains(
    answer.body,
    R"("choices":[],"usage":{"prompt_tokens":11,"completion_tokens":2,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":0}}})"));
  CHECK(answer.body.ends_with("data: [DONE]\n\n"));
}

TEST_CASE("a stop string ends the text, and the session is told") {
  frontend_fixture node;
  raw_http_client client{node.port()};
  client.send(post("/v1/completions", R"({"model":"bytes","prompt":"p","stop":["END"],"max_tokens":50})"));
  const auto request = node.sessions().wait_for(1).at(0).request;
  node.feed(request, 0, "textE");
  node.feed(request, 5, "NDmore");
  const auto answer = client.receive_answer();
  CHECK(contains(answer.body, R"("text":"text","logprobs":null,"finish_reason":"stop")"));
  CHECK(contains(answer.body, R"("completion_tokens":7)"));
  CHECK(node.sessions().wait_for_cancelled(1) == 1);
  CHECK(node.wait_for_open_streams(0));
}

TEST_CASE("n choices of several prompts are numbered prompt by prompt, and prompts are counted once") {
  frontend_fixture node;
  raw_http_client client{node.port()};
  client.send(post("/v1/completions", R"({"model":"bytes","prompt":["ab",[99,100,101]],"n":2,"seed":5})"));
  const auto sessions = node.sessions().wait_for(4);
  REQUIRE(sessions.size() == 4);
  std::vector<stream_tokens> batch;
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(sessions[i].request.sampling.seed == 5);
    CHECK(sessions[i].request.sampling.choice == i % 2);
    CHECK(sessions[i].request.prompt.size() == (i < 2 ? 2 : 3));
    CHECK(sessions[i].request.output_tokens_max == 16);
    batch.push_back(
      tokens_of(sessions[i].request.id, 0, std::string(1, static_cast<char>('A' + i)), finish_reason::length));
    batch.back().usage.cached_tokens = 1;
  }
  CHECK(node.feed(batch));
  const auto answer = client.receive_answer();
  for (auto part :
       {R"({"index":0,"text":"A")", R"({"index":1,"text":"B")", R"({"index":2,"text":"C")", R"({"index":3,"text":"D")"})
    CHECK(contains(answer.body, part));
  CHECK(contains(answer.body, R"("prompt_tokens":5,"completion_tokens":4)"));
  CHECK(contains(answer.body, R"("cached_tokens":2)"));
}

TEST_CASE("what cannot be served is refused with OpenAI's error and the right status") {
  rest_gateway_config config;
  auto without_template = byte_model();
  without_template.name = "plain";
  without_template.chat_template = nullptr;
  config.api.models = {byte_model(), without_template};
  frontend_fixture node{std::move(config)};
  raw_http_client client{node.port()};
  struct row {
    std::string request;
    int status;
    std::string_view part;
  };
  const std::string long_prompt(4096, 'x');
  const row rows[] = {
    {post("/v1/chat/completions", R"({"model":"nope","messages":[{"role":"user","content":"x"}]})"), 404,
     R"("param":"model","code":"model_not_found")"},
    {post("/v1/chat/completions", R"({"model":"plain","messages":[{"role":"user","content":"x"}]})"), 400,
     R"("code":"no_chat_template")"},
    {post("/v1/chat/completions", R"({"model":"bytes","messages":[{"role":"user","content":"refuse"}]})"), 400,
     R"("code":"no_chat_template")"},
    {post("/v1/completions", R"({"model":"bytes","prompt":")" + long_prompt + R"("})"), 400,
     R"("code":"context_length_exceeded")"},
    {post("/v1/completions", R"({"model":"bytes","prompt":"x","max_tokens":4096})"), 400,
     R"("code":"context_length_exceeded")"},
    {post("/v1/completions", R"({"model":"bytes","prompt":""})"), 400, R"("param":"prompt")"},
    {post("/v1/completions", R"({"model":"bytes","prompt":[999]})"), 400, "token 999"},
    {post("/v1/completions", R"({"model":"bytes","prompt":"x","logit_bias":{"999":1}})"), 400,
     R"("param":"logit_bias")"},
    {post("/v1/completions", R"({"model":"bytes","prompt":["1","2","3","4","5","6","7","8","9"],"n":8})"), 400,
     R"("param":"n")"},
    {post("/v1/completions", "{"), 400, "not valid JSON"},
    {post("/v1/nothing", "{}"), 404, "nothing at this path"},
    {get("/v1/completions"), 405, "method"},
    {post("/v1/models", "{}"), 405, "method"},
    {"POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415,
     "application/json"},
    {get("/v1/models/nope"), 404, "model_not_found"},
  };
  for (const auto& r : rows) {
    CAPTURE(r.request.substr(0, 120));
    client.send(r.request);
    const auto answer = client.receive_answer();
    CHECK(answer.status == r.status);
    CHECK(answer.body.starts_with(R"({"error":{"message":")"));
    CHECK(contains(answer.body, r.part));
  }
  CHECK(node.sessions().wait_for(0).empty());
}

TEST_CASE("a text that the model's tokenizer makes too long is the client's error, and nothing ends") {
  std::string steps;
  for (int i = 0; i < 100; ++i)
    steps += R"(,{"type":"Replace","pattern":{"String":"a"},"content":"aa"})";
  auto description = text::read_tokenizer_json(
    R"({"added_tokens":[],"decoder":null,"normalizer":{"type":"Sequence","normalizers":[)" + steps.substr(1)
    + R"(]},"model":{"type":"BPE","unk_token":"?","vocab":{"h":0,"?":1},"merges":[]}})");
  REQUIRE_MESSAGE(description.has_value(), description.error().context);
  auto model = byte_model();
  model.tokenizer = std::make_shared<const text::tokenizer>(text::tokenizer::make(*std::move(description)).value());
  rest_gateway_config config;
  config.api.models.push_back(std::move(model));
  frontend_fixture node{std::move(config)};
  raw_http_client client{node.port()};
  auto ask = [&](std::string request) {
    client.send(request);
    return client.receive_answer();
  };
  for (const auto& request :
       {post("/tokenize", R"({"prompt":"a"})"), post("/v1/completions", R"({"model":"bytes","prompt":"a"})"),
        post("/v1/chat/completions", R"({"model":"bytes","messages":[{"role":"user","content":"a"}]})")}) {
    const auto answer = ask(request);
    CHECK(answer.status == 400);
    CHECK(contains(answer.body, R"("code":"context_length_exceeded")"));
  }
  CHECK(contains(ask(post("/tokenize", R"({"prompt":"h"})")).body, R"("tokens":[0])"));
}

TEST_CASE("the small endpoints answer") {
  frontend_fixture node;
  raw_http_client client{node.port()};
  auto ask = [&](std::string request) {
    client.send(request);
    return client.receive_answer();
  };
  CHECK(contains(ask(get("/live")).body, "live"));
  const auto models = ask(get("/v1/models"));
  CHECK(contains(models.body, R"({"object":"list","data":[{"id":"bytes","object":"model")"));
  CHECK(contains(models.body, R"("context_length":4096,"file":"bytes.gguf")"));
  CHECK(contains(ask(get("/v1/models/bytes")).body, R"("max_model_len":4096)"));
  CHECK(ask(post("/tokenize", R"({"prompt":"hé"})")).body
        == R"({"count":3,"max_model_len":4096,"tokens":[104,195,169]})");
  CHECK(ask(post("/detokenize", R"({"tokens":[104,195,169]})")).body == R"({"prompt":"hé"})");
  CHECK(ask(post("/detokenize", R"({"tokens":[300]})")).status == 400);
  CHECK(contains(ask(get("/version")).body, "version"));
  CHECK(contains(ask(get("/metrics")).body, "troupe_rest_requests_total{code=\"200\",endpoint=\"/live\"} 1"));
  // No directory runs in this test.
  CHECK(ask(get("/health")).status == 503);
}

namespace {

struct fake_directory_state {
  static inline const char* name = "troupe.test.fake-directory";
  fake_directory_state(directory_actor::pointer s, node_health h, fleet_snapshot f)
    : self(s), health(std::move(h)), fleet(std::move(f)) {}
  directory_actor::behavior_type make_behavior() {
    return {
      [](const fleet_member&) {},     [this](const fleet_sink_actor& sink) { self->send(sink, fleet); },
      [](const load_report&) {},      [this](const find_health&) { return health; },
      [](const share_sink_actor&) {}, [](const fleet_share&) {},
      [](const node_left&) {},
    };
  }
  directory_actor::pointer self;
  node_health health;
  fleet_snapshot fleet;
};

using fake_directory = directory_actor::stateful_impl<fake_directory_state>;

} // namespace

TEST_CASE("health is what the present directory says") {
  frontend_fixture node;
  raw_http_client client{node.port()};
  for (auto& [health, status, part] : std::vector<std::tuple<node_health, int, std::string>>{
         {{{}, 2}, 200, R"({"status":"ok","workers":2,"problems":[]})"},
         {{{"no \"decode\" worker"}, 0}, 503, R"("problems":["no \"decode\" worker"])"}}) {
    auto directory = node.system().spawn<fake_directory>(health, fleet_snapshot{});
    node.system().registry().put("troupe.directory", directory);
    client.send(get("/health"));
    const auto answer = client.receive_answer();
    CHECK(answer.status == status);
    CHECK(contains(answer.body, part));
    node.system().registry().erase("troupe.directory");
    caf::anon_send_exit(directory, caf::exit_reason::user_shutdown);
  }
}

TEST_CASE("the models are those of the present directory") {
  frontend_fixture node;
  worker_record record;
  record.model = "bytes";
  record.roles = role_decode;
  const fleet_snapshot full{{{record, nullptr}}, {}};
  raw_http_client client{node.port()};
  const auto lists_a_model = [&] {
    client.send(get("/v1/models"));
    return contains(client.receive_answer().body, "bytes");
  };
  REQUIRE(lists_a_model());
  for (bool served : {false, true, false}) {
    auto directory = node.system().spawn<fake_directory>(node_health{}, served ? full : fleet_snapshot{});
    node.system().registry().put("troupe.directory", directory);
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{5};
    while (lists_a_model() != served && std::chrono::steady_clock::now() < limit)
      std::this_thread::yield();
    CHECK(lists_a_model() == served);
    node.system().registry().erase("troupe.directory");
    caf::anon_send_exit(directory, caf::exit_reason::user_shutdown);
  }
}

TEST_CASE("an error before the first byte is an HTTP error, after it an event and [DONE]") {
  frontend_fixture node;
  caf::scoped_actor self{node.system()};
  raw_http_client early{node.port()};
  early.send(post("/v1/chat/completions", chat_stream));
  auto request = node.sessions().wait_for(1).at(0).request;
  self->send(node.hub(), generation_failed{request.id, 1, errc::overloaded, "all busy"});
  auto answer = early.receive_answer();
  CHECK(answer.status == 503);
  CHECK(contains(answer.head, "Retry-After: 1\r\n"));
  CHECK(contains(answer.body, "all busy"));

  raw_http_client late{node.port()};
  late.send(post("/v1/chat/completions", chat_stream));
  request = node.sessions().wait_for(2).at(1).request;
  node.feed(request, 0, "x");
  self->send(node.hub(), generation_failed{request.id, 1, errc::device_failed, ""});
  answer = late.receive_answer();
  CHECK(answer.status == 200);
  CHECK(contains(
    answer.body,
    R"(data: {"error":{"message":"the device or its executor failed","type":"server_error","param":null,"code":"device_failed"}})"));
  CHECK(answer.body.ends_with("data: [DONE]\n\n"));
  CHECK(node.wait_for_open_streams(0));
}

TEST_CASE("a session that dies ends its stream with an error") {
  frontend_fixture node;
  raw_http_client client{node.port()};
  client.send(post("/v1/chat/completions", chat_hello));
  const auto session = node.sessions().wait_for(1).at(0);
  caf::anon_send_exit(session.handle, caf::exit_reason::kill);
  const auto answer = client.receive_answer();
  CHECK(answer.status >= 500);
  CHECK(contains(answer.body, "session ended"));
  CHECK(node.wait_for_open_streams(0));
}

TEST_CASE("a client that leaves is noticed, and its session is told") {
  frontend_fixture node;
  for (bool reset : {false, true}) {
    raw_http_client client{node.port()};
    client.send(post("/v1/chat/completions", chat_stream));
    const std::size_t count = reset ? 2 : 1;
    const auto request = node.sessions().wait_for(count).back().request;
    node.feed(request, 0, "x");
    client.receive_until("\"x\"");
    if (reset)
      client.close_with_reset();
    else
      client.close();
    CHECK(node.sessions().wait_for_cancelled(count) == count);
    CHECK(node.wait_for_open_streams(0));
    CHECK(node.feed(request, 1, "y")); // late tokens are acknowledged and dropped
  }
}

TEST_CASE("a slow reader is given up with an error event, others go on") {
  frontend_fixture node;
  raw_http_client slow{node.port(), 4096};
  slow.send(post("/v1/chat/completions", chat_stream));
  const auto request = node.sessions().wait_for(1).at(0).request;
  std::uint32_t index = 0;
  const std::string text(64, 'z');
  for (int i = 0; i < 20'000 && node.sessions().wait_for_cancelled(1, std::chrono::milliseconds{0}) == 0; ++i) {
    REQUIRE(node.feed(request, index, text));
    index += 64;
  }
  CHECK(node.sessions().wait_for_cancelled(1) == 1);
  CHECK(node.wait_for_open_streams(0));
  // If it reads now, it finds everything up to the error: nothing is lost in between.
  const auto answer = slow.receive_answer();
  CHECK(contains(answer.body, R"("code":"slow_reader")"));
  CHECK(answer.body.ends_with("data: [DONE]\n\n"));
  CHECK(make_frontend_metrics(node.system().metrics()).slow_readers->value() == 1);
}

TEST_CASE("one request over the limit is refused with Retry-After, and an ended one makes room") {
  rest_gateway_config config;
  config.api.requests_max = 1;
  frontend_fixture node{std::move(config)};
  raw_http_client first{node.port()};
  first.send(post("/v1/chat/completions", chat_hello));
  const auto request = node.sessions().wait_for(1).at(0).request;
  raw_http_client second{node.port()};
  second.send(post("/v1/chat/completions", chat_hello));
  auto answer = second.receive_answer();
  CHECK(answer.status == 503);
  CHECK(contains(answer.head, "Retry-After: 1\r\n"));
  node.feed(request, 0, "x", finish_reason::stop);
  CHECK(first.receive_answer().status == 200);
  second.send(post("/v1/chat/completions", chat_hello));
  const auto sessions = node.sessions().wait_for(2);
  REQUIRE(sessions.size() == 2);
  node.feed(sessions[1].request, 0, "x", finish_reason::stop);
  CHECK(second.receive_answer().status == 200);
}

TEST_CASE("a drain finishes what runs and refuses what comes") {
  frontend_fixture node;
  raw_http_client running{node.port()};
  raw_http_client idle{node.port()};
  idle.send(get("/live"));
  CHECK(idle.receive_answer().status == 200);
  running.send(post("/v1/chat/completions", chat_stream));
  const auto request = node.sessions().wait_for(1).at(0).request;
  caf::scoped_actor self{node.system()};
  auto drained = self->request(node.gateway(), std::chrono::seconds{10}, drain_request{std::chrono::seconds{8}});
  // The drain has begun once the listener is closed.
  bool refused = false;
  for (int i = 0; i < 200 && !refused; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds{5}); // on a busy machine 200 are made before it begins
    refused = !raw_http_client{node.port()}.connected();
  }
  CHECK(refused);
  idle.send(post("/v1/chat/completions", chat_hello));
  const auto answer = idle.receive_answer();
  CHECK(answer.status == 503);
  CHECK(contains(answer.body, R"("code":"draining")"));
  node.feed(request, 0, "done", finish_reason::stop);
  CHECK(contains(running.receive_answer().body, "[DONE]"));
  bool ended = false;
  drained.receive([&] { ended = true; }, [](const caf::error&) {});
  CHECK(ended);
}

TEST_CASE("a drain whose time is up ends the rest with an error event") {
  frontend_fixture node;
  raw_http_client client{node.port()};
  client.send(post("/v1/chat/completions", chat_stream));
  const auto request = node.sessions().wait_for(1).at(0).request;
  node.feed(request, 0, "x");
  caf::scoped_actor self{node.system()};
  bool ended = false;
  self->request(node.gateway(), std::chrono::seconds{5}, drain_request{std::chrono::milliseconds{50}})
    .receive([&] { ended = true; }, [](const caf::error&) {});
  CHECK(ended);
  const auto answer = client.receive_answer();
  CHECK(contains(answer.body, R"("code":"draining")"));
  CHECK(answer.body.ends_with("data: [DONE]\n\n"));
}

TEST_CASE("a gateway that ends gives every open stream an error event") {
  frontend_fixture node;
  raw_http_client client{node.port()};
  client.send(post("/v1/chat/completions", chat_stream));
  const auto request = node.sessions().wait_for(1).at(0).request;
  node.feed(request, 0, "x");
  client.receive_until("\"x\"");
  node.stop();
  CHECK(contains(client.receive_all(), "data: [DONE]"));
}

TEST_CASE("a port that is taken ends the gateway with an error") {
  frontend_fixture node;
  rest_gateway_config config;
  config.http.port = node.port();
  config.api.models = {byte_model()};
  auto second = spawn_rest_gateway(node.system(), std::move(config));
  caf::scoped_actor self{node.system()};
  self->monitor(second);
  error why;
  self->receive([&](const caf::down_msg& down) { why.code = static_cast<errc>(down.reason.code()); });
  CHECK(why.code == errc::resource);
}

TEST_CASE("the models are those of the fleet that this node knows, and a request may ask for what a worker holds") {
  rest_gateway_config config;
  auto other = byte_model();
  other.name = "other";
  config.api.models = {byte_model(), other};
  frontend_fixture node{std::move(config)};
  raw_http_client client{node.port()};
  const auto ask = [&](const std::string& request) {
    client.send(request);
    return client.receive_answer();
  };
  const auto both = ask(get("/v1/models")).body;
  CHECK(contains(both, R"([{"id":"bytes",)"));
  CHECK(contains(both, R"(,{"id":"other",)"));
  node.serve({"other", "somebody's"}, 100);
  const auto one = ask(get("/v1/models")).body;
  CHECK(contains(one, R"([{"id":"other","object":"model","created":0,"owned_by":"troupe","max_model_len":100,)"));
  CHECK_FALSE(contains(one, "bytes\""));
  CHECK_FALSE(contains(one, "somebody"));
  CHECK(ask(get("/v1/models/other")).status == 200);
  for (const auto* name : {"bytes", "somebody's"})
    CHECK(contains(ask(get(std::string{"/v1/models/"} + name)).body, "model_not_found"));
  const auto prompt = [](const char* model) {
    return post("/v1/completions", fmt::format(R"({{"model":"{}","prompt":"{}"}})", model, std::string(100, 'x')));
  };
  const auto too_long = ask(prompt("other"));
  CHECK(too_long.status == 400);
  CHECK(contains(too_long.body, "context_length_exceeded"));
  CHECK(ask(prompt("somebody's")).status == 404);
  // Known, although nobody serves it at the moment: the session finds out.
  client.send(prompt("bytes"));
  CHECK(node.sessions().wait_for(1).at(0).request.model == "bytes");
  node.serve({});
  raw_http_client another{node.port()};
  another.send(get("/v1/models"));
  CHECK(contains(another.receive_answer().body, R"("data":[])"));
}

TEST_CASE("an answer of the mock executor says so") {
  rest_gateway_config config;
  config.api.models = {byte_model()};
  config.api.models[0].mock = true;
  frontend_fixture node{std::move(config)};
  raw_http_client client{node.port()};
  client.send(post("/v1/chat/completions", chat_hello));
  node.feed(node.sessions().wait_for(1).at(0).request, 0, "x", finish_reason::stop);
  const auto answer = client.receive_answer();
  CHECK(contains(answer.head, "x-troupe-mock: true\r\n"));
  CHECK(contains(answer.body, R"("system_fingerprint":"mock")"));
}

TEST_CASE("a hundred parallel streams each get their own tokens, and none stays behind") {
  frontend_fixture node;
  constexpr std::size_t count = 100;
  constexpr std::uint32_t steps = 40;
  std::vector<std::unique_ptr<raw_http_client>> clients;
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<raw_http_client>(node.port()));
    clients.back()->send(post("/v1/completions", R"({"model":"bytes","stream":true,"max_tokens":100,"prompt":")"
                                                   + std::to_string(i) + R"("})"));
  }
  const auto sessions = node.sessions().wait_for(count);
  REQUIRE(sessions.size() == count);
  for (std::uint32_t step = 0; step < steps; ++step) {
    std::vector<stream_tokens> batch;
    for (const auto& s : sessions) {
      const auto letter = static_cast<char>('a' + (s.request.prompt[0] + step) % 26);
      batch.push_back(tokens_of(s.request.id, step, std::string(1, letter),
                                step + 1 == steps ? finish_reason::length : finish_reason::none));
    }
    REQUIRE(node.feed(std::move(batch)));
  }
  std::size_t right = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto answer = clients[i]->receive_answer();
    std::string text;
    for (std::size_t at = 0; (at = answer.body.find("\"text\":\"", at)) != std::string::npos; at += 8)
      text += answer.body[at + 8] == '"' ? "" : std::string(1, answer.body[at + 8]);
    std::string wanted;
    for (std::uint32_t step = 0; step < steps; ++step)
      wanted += static_cast<char>('a' + (static_cast<unsigned char>(std::to_string(i)[0]) + step) % 26);
    right += text == wanted;
  }
  CHECK(right == count);
  CHECK(node.wait_for_open_streams(0));
  CHECK(node.sessions().wait_for_cancelled(count) == count);
}
