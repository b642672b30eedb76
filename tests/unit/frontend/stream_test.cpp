// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/stream/stream_table.hpp"

#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support/byte_model.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

/// Notes what was answered.
class noted_exchange : public http_exchange {
public:
  http_request& request() override { return request_; }
  void respond(http_response r) override { response = std::move(r); }
  void begin_events(const http_headers&) override { begun = true; }
  void write_event(std::string_view text) override { events += text; }
  void end_events() override { ended = true; }
  void flush() override {}
  std::size_t queued_bytes() const override { return queued; }
  void give_up() override { given_up = true; }
  void on_abandoned(std::function<void()> f) override { abandon = std::move(f); }

  http_response response{0, {}, {}, {}};
  std::string events;
  bool begun = false;
  bool ended = false;
  bool given_up = false;
  std::size_t queued = 0;
  std::function<void()> abandon;

private:
  http_request request_;
};

struct table_fixture {
  std::shared_ptr<const served_model> model = std::make_shared<const served_model>(byte_model());
  caf::telemetry::metric_registry registry;
  std::vector<std::uint64_t> unwanted;
  int ended = 0;
  stream_table table{make_frontend_metrics(registry),
                     {[this](std::vector<request_id> ids) {
                        for (auto id : ids)
                          unwanted.push_back(id.value);
                      },
                      [this] { ++ended; }}};

  std::shared_ptr<noted_exchange> open(client_stream::options options, std::vector<std::uint64_t> ids) {
    auto exchange = std::make_shared<noted_exchange>();
    options.model = model;
    options.output.api = options.head.api;
    std::vector<client_stream::choice> choices;
    for (auto id : ids)
      choices.push_back(
        {request_id{id}, choice_output{*model->tokenizer, {}, options.output}, id == ids.front() ? 2u : 0u});
    table.open(std::make_shared<client_stream>(exchange, std::move(options), std::move(choices)));
    return exchange;
  }

  void feed(std::uint64_t id, std::string_view text, finish_reason finish = finish_reason::none) {
    stream_tokens t;
    t.request = request_id{id};
    for (unsigned char byte : text)
      t.tokens.push_back({byte, -1, {}});
    t.finish = finish;
    table.deliver({t});
  }
};

client_stream::options streamed(openai::api which, std::vector<std::string> stops = {}) {
  client_stream::options o;
  o.streams = true;
  o.head.api = which;
  o.head.id = "i";
  o.output.stops = std::move(stops);
  return o;
}

/// The values of all "text" members, put together.
std::string text_of(const std::string& events) {
  std::string out;
  for (std::size_t at = 0; (at = events.find("\"text\":\"", at)) != std::string::npos;) {
    at += 8;
    const auto end = events.find('"', at);
    out += events.substr(at, end - at);
  }
  return out;
}

} // namespace

TEST_CASE("a character that is split over tokens is held back until it is whole") {
  table_fixture f;
  auto exchange = f.open(streamed(openai::api::completions), {1});
  f.feed(1, "a\xf0");
  CHECK(text_of(exchange->events) == "a");
  f.feed(1, "\x9f\x98");
  CHECK(text_of(exchange->events) == "a");
  f.feed(1, "\x80z");
  CHECK(text_of(exchange->events) == "a😀z");
  f.feed(1, "\xe2\x82", finish_reason::length);
  CHECK(text_of(exchange->events) == "a😀z\uFFFD");
  CHECK(exchange->ended);
  CHECK(f.ended == 1);
  CHECK(f.unwanted.empty());
}

TEST_CASE("a stop string is found over token borders, wherever they are") {
  const std::string text = "abSTOcSTOPxy";
  for (std::size_t cut = 1; cut < text.size(); ++cut)
    for (std::size_t cut2 = cut; cut2 < text.size(); ++cut2) {
      CAPTURE(cut);
      table_fixture f;
      auto exchange = f.open(streamed(openai::api::completions, {"STOP"}), {1});
      f.feed(1, text.substr(0, cut));
      f.feed(1, text.substr(cut, cut2 - cut));
      f.feed(1, text.substr(cut2));
      CHECK(text_of(exchange->events) == "abSTOc");
      CHECK(exchange->events.find("\"finish_reason\":\"stop\"") != std::string::npos);
      CHECK(exchange->ended);
      CHECK(f.unwanted == std::vector<std::uint64_t>{1});
      CHECK(f.table.streams() == 0);
    }
}

TEST_CASE("only the possible beginning of a stop string is held back") {
  table_fixture f;
  auto exchange = f.open(streamed(openai::api::completions, {"STOP"}), {1});
  f.feed(1, "xST");
  CHECK(text_of(exchange->events) == "x");
  f.feed(1, "a");
  CHECK(text_of(exchange->events) == "xSTa");
  f.feed(1, "STO", finish_reason::stop);
  CHECK(text_of(exchange->events) == "xSTaSTO");
  CHECK(f.unwanted.empty()); // the worker knows that it has ended
}

TEST_CASE("a stop string in the worker's last tokens needs no cancel") {
  table_fixture f;
  auto exchange = f.open(streamed(openai::api::completions, {"STOP"}), {1});
  f.feed(1, "aSTOPb", finish_reason::length);
  CHECK(text_of(exchange->events) == "a");
  CHECK(exchange->ended);
  CHECK(f.table.streams() == 0);
}

TEST_CASE("headers wait for the first text, so that an early error keeps its status") {
  table_fixture f;
  auto exchange = f.open(streamed(openai::api::chat), {1});
  CHECK(!exchange->begun);
  f.table.fail(request_id{1}, {errc::unavailable, ""});
  CHECK(!exchange->begun);
  CHECK(exchange->response.status == 503);
  CHECK(f.ended == 1);
}

TEST_CASE("when one choice fails the stream fails, and the other choices are not wanted any more") {
  table_fixture f;
  auto exchange = f.open(streamed(openai::api::chat), {1, 2, 3});
  f.feed(1, "a");
  f.feed(2, "b", finish_reason::stop);
  CHECK(!exchange->ended);
  f.table.fail(request_id{3}, {errc::worker_lost, ""});
  CHECK(exchange->ended);
  CHECK(exchange->events.ends_with("data: [DONE]\n\n"));
  CHECK(f.unwanted == std::vector<std::uint64_t>{1});
  CHECK(f.table.streams() == 0);
  f.feed(1, "late");
  CHECK(exchange->events.find("late") == std::string::npos);
}

TEST_CASE("a client that leaves takes its stream with it") {
  table_fixture f;
  auto exchange = f.open(streamed(openai::api::chat), {1, 2});
  f.feed(1, "a");
  exchange->abandon();
  CHECK(f.unwanted.size() == 2);
  CHECK(f.ended == 1);
  CHECK(f.table.streams() == 0);
}

TEST_CASE("a stream with more than 64 KiB unread is given up") {
  table_fixture f;
  auto exchange = f.open(streamed(openai::api::chat), {1});
  exchange->queued = stream_table::queued_bytes_max;
  f.feed(1, "a");
  CHECK(!exchange->given_up);
  exchange->queued = stream_table::queued_bytes_max + 1;
  f.feed(1, "a");
  CHECK(exchange->given_up);
  CHECK(exchange->events.find("slow_reader") != std::string::npos);
  CHECK(f.unwanted == std::vector<std::uint64_t>{1});
  CHECK(f.ended == 1);
}

TEST_CASE("the time from a step's end to the socket is observed once the bytes are in the socket") {
  table_fixture f;
  const auto observed = make_frontend_metrics(f.registry).sampled_to_socket;
  const auto observations = [observed] {
    std::int64_t sum = 0;
    for (const auto& bucket : observed->buckets())
      sum += bucket.count.value();
    return sum;
  };
  const auto feed = [&](std::uint64_t id, std::optional<std::chrono::nanoseconds> ago) {
    stream_tokens t;
    t.request = request_id{id};
    t.tokens = {{'a', 0, {}}};
    if (ago)
      t.sampled_at = client_stream::clock::now().time_since_epoch() - *ago;
    f.table.deliver({t});
  };
  auto exchange = f.open(streamed(openai::api::chat), {1});
  feed(1, std::chrono::milliseconds{250});
  CHECK(observations() == 1);
  CHECK(observed->sum() >= 0.25);
  CHECK(observed->sum() < 10);
  feed(1, std::nullopt); // of another node
  exchange->queued = 1;  // its socket is full
  feed(1, std::chrono::milliseconds{250});
  f.open({}, {2}); // not streamed
  feed(2, std::chrono::milliseconds{250});
  CHECK(observations() == 1);
}

TEST_CASE("a control token has no text, unless the client asks for it") {
  for (auto specials : {text::special_output::skip, text::special_output::keep}) {
    table_fixture f;
    auto options = streamed(openai::api::completions);
    options.output.specials = specials;
    auto exchange = f.open(std::move(options), {1});
    stream_tokens t;
    t.request = request_id{1};
    t.tokens = {{'a', 0, {}}, {byte_model_end, 0, {}}, {70'000, 0, {}}};
    t.finish = finish_reason::length;
    f.table.deliver({t});
    CHECK(text_of(exchange->events) == (specials == text::special_output::keep ? "a<|end|>" : "a"));
  }
}
