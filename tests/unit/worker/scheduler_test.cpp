// SPDX-License-Identifier: Apache-2.0
#include "actors/worker/scheduler.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "tests/unit/worker/worker_double.hpp"

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

/// Ended well, with the text that it would have alone, and nothing is left behind.
void check_whole(worker_double& w, std::uint64_t id) {
  CAPTURE(id);
  const auto& o = w.of(id);
  REQUIRE(o.finished);
  CHECK(o.output == w.reference(id));
  CHECK(o.finished->reason == (w.ends_with_stop(id) ? finish_reason::stop : finish_reason::length));
  CHECK(o.finished->usage.output_tokens == o.output.size());
  CHECK(o.finished->usage.prompt_tokens == o.request.prompt_tokens);
}

void check_clean(worker_double& w) {
  CHECK(w.executor.fault == std::nullopt);
  CHECK(w.tested.idle());
  CHECK(w.tested.load().tightest().free_blocks == w.config.blocks);
}

/// Whether a row of the step begins there.
bool is_in(const gpu::step& s, std::uint32_t position) {
  return std::ranges::find(s.rows, position, &gpu::row::position) != s.rows.end();
}

} // namespace

TEST_CASE("one sequence says what the model says, and leaves all blocks free") {
  worker_double w{small_config(16)};
  REQUIRE(w.add(a_request(1, some_tokens(10, 1), 12)));
  w.run();
  check_whole(w, 1);
  check_clean(w);
  CHECK(w.tested.counters().prompt_tokens_computed == 10);
  CHECK(w.tested.counters().output_tokens == 12);
}

TEST_CASE("the next step is submitted before the last one's token is back") {
  worker_double w{small_config(16)};
  REQUIRE(w.add(a_request(1, some_tokens(5, 1), 8)));
  REQUIRE(w.step());
  REQUIRE(w.step());
  const auto& row = w.last_step.rows.at(0);
  REQUIRE(row.from);
  CHECK(row.from->step == step_id{1});
  CHECK(row.from->row == 0);
  CHECK(w.last_step.rows.at(0).position == 5);
  CHECK(!w.step());
  w.run();
  check_whole(w, 1);
}

TEST_CASE("a token says when its step was done, and one that landed does not") {
  worker_double w{small_config(16)};
  REQUIRE(w.add(a_request(1, some_tokens(5, 1), 8)));
  REQUIRE(w.step());
  auto result = w.executor.run();
  result.done_at = steady_time{7ms};
  scheduler_events events;
  w.tested.complete(result, events);
  REQUIRE(events.tokens.size() == 1);
  CHECK(events.tokens[0].sampled_at == steady_time{7ms});

  REQUIRE(w.add(a_request(2, some_tokens(5, 2), 8, sequence_mode::landing)));
  REQUIRE(w.step());
  w.write_landing(2);
  events = {};
  w.tested.landed(request_id{2}, {1, -0.5f, {}}, 0, events);
  REQUIRE(events.tokens.size() == 1);
  CHECK(!events.tokens[0].sampled_at);
}

TEST_CASE("no step is planned past the limit of output tokens or the end of the context") {
  worker_double w{small_config(80)};
  REQUIRE(w.add(a_request(1, some_tokens(5, 1), 3)));
  w.run();
  check_whole(w, 1);
  CHECK(w.executor.rows_computed == 3);
  REQUIRE(w.add(a_request(2, some_tokens(250, 2), 100)));
  w.run();
  check_whole(w, 2);
  CHECK(w.of(2).output.size() == 6);
  check_clean(w);
}

TEST_CASE("a stop token ends a sequence unreported, and what was drawn past it counts for nothing") {
  worker_double w{small_config(16)};
  auto r = a_request(1, some_tokens(5, 1), 20);
  auto tokens = r.tokens;
  for (int i = 0; i < 4; ++i)
    tokens.push_back(w.model.next(tokens));
  r.stop_tokens = {tokens.back()};
  REQUIRE(w.add(r));
  w.run();
  check_whole(w, 1);
  CHECK(w.of(1).finished->reason == finish_reason::stop);
  CHECK(w.tested.counters().output_tokens == w.of(1).output.size());
  check_clean(w);
}

TEST_CASE("a sequence that was generated in part elsewhere goes on with the next index") {
  worker_double w{small_config(16)};
  auto whole = a_request(1, some_tokens(9, 1), 10);
  auto part = whole;
  for (int i = 0; i < 4; ++i)
    part.tokens.push_back(w.model.next(part.tokens));
  REQUIRE(w.add(part));
  w.run();
  CHECK(w.of(1).output.size() == 10);
  check_whole(w, 1);
  check_clean(w);
}

TEST_CASE("eight streams need hardly more steps than one, and all begin before any ends") {
  auto config = small_config(256);
  config.step_tokens_max = 32;
  config.chunk_tokens_max = 16;
  const auto steps_of = [&](std::uint64_t count) {
    worker_double w{config};
    for (std::uint64_t id = 1; id <= count; ++id)
      REQUIRE(w.add(a_request(id, some_tokens(20, id), 64)));
    w.run();
    std::uint64_t last_begin = 0;
    for (std::uint64_t id = 1; id <= count; ++id) {
      check_whole(w, id);
      last_begin = std::max(last_begin, w.of(id).first_token_at);
    }
    CHECK(last_begin < 64);
    check_clean(w);
    return w.tested.counters().decode_steps;
  };
  CHECK(steps_of(8) * 10 < steps_of(1) * 13);
}

TEST_CASE("a long prompt is cut into chunks and starves no decode") {
  auto config = small_config(128);
  config.step_tokens_max = 16;
  config.chunk_tokens_max = 8;
  worker_double w{config};
  REQUIRE(w.add(a_request(1, some_tokens(4, 1), 30)));
  REQUIRE(w.step());
  REQUIRE(w.complete());
  REQUIRE(w.add(a_request(2, some_tokens(200, 2), 2)));
  for (int i = 0; i < 20; ++i) {
    REQUIRE(w.step());
    CHECK(w.last_step.rows.size() == 2);
    CHECK(w.last_step.computed_tokens() == 9);
    w.complete();
  }
  w.run();
  check_whole(w, 1);
  check_whole(w, 2);
  check_clean(w);
}

TEST_CASE("decodes that fill every step take turns, and starve no prompt") {
  auto config = small_config(256);
  config.step_tokens_max = config.rows_max = 4;
  worker_double w{config};
  for (std::uint64_t id = 1; id <= 6; ++id)
    REQUIRE(w.add(a_request(id, some_tokens(2, id), 120)));
  for (int i = 0; i < 40; ++i) {
    w.step();
    w.complete();
  }
  // The older ones come more often, but none waits for more than two steps of three.
  for (std::uint64_t id = 1; id <= 6; ++id)
    CHECK(w.of(id).output.size() >= 13);
  REQUIRE(w.add(a_request(7, some_tokens(6, 7), 2)));
  w.run();
  for (std::uint64_t id = 1; id <= 7; ++id)
    check_whole(w, id);
  CHECK(w.of(7).first_token_at < 60);
  check_clean(w);
}

TEST_CASE("a step with room for one token serves prefill and decode in turns") {
  auto config = small_config(64);
  config.step_tokens_max = 1;
  worker_double w{config};
  REQUIRE(w.add(a_request(1, some_tokens(2, 1), 30)));
  for (int i = 0; i < 4; ++i) {
    w.step();
    w.complete();
  }
  REQUIRE(w.add(a_request(2, some_tokens(20, 2), 4)));
  w.run();
  check_whole(w, 1);
  check_whole(w, 2);
  CHECK(w.of(2).first_token_at < 60);
  check_clean(w);
}

TEST_CASE("an equal prompt is computed once: only what follows its last whole block is left") {
  worker_double w{small_config(128)};
  const auto prompt = some_tokens(99, 1);
  REQUIRE(w.add(a_request(1, prompt, 4)));
  w.run();
  const auto before = w.tested.counters().prompt_tokens_computed;
  REQUIRE(w.add(a_request(2, prompt, 4)));
  w.run();
  check_whole(w, 2);
  CHECK(w.of(1).finished->usage.cached_tokens == 0);
  CHECK(w.of(2).finished->usage.cached_tokens == 96);
  CHECK(w.tested.counters().prompt_tokens_computed - before == 3);
  CHECK(w.tested.counters().prompt_tokens_cached == 96);
  check_clean(w);
}

TEST_CASE("a prompt that is cached to its last token still computes its last block") {
  worker_double w{small_config(64)};
  REQUIRE(w.add(a_request(1, some_tokens(16, 1), 4)));
  w.run();
  REQUIRE(w.add(a_request(2, some_tokens(16, 1), 4)));
  w.run();
  CHECK(w.of(2).finished->usage.cached_tokens == 12);
  check_whole(w, 2);
  check_clean(w);
}

TEST_CASE("generated blocks are found by a prompt that repeats them") {
  worker_double w{small_config(64)};
  REQUIRE(w.add(a_request(1, some_tokens(6, 1), 20)));
  w.run();
  auto prompt = some_tokens(6, 1);
  const auto& said = w.of(1).output;
  prompt.insert(prompt.end(), said.begin(), said.end());
  REQUIRE(w.add(a_request(2, prompt, 4)));
  w.run();
  // All 26 tokens but the last, whose KV nobody needed.
  CHECK(w.of(2).finished->usage.cached_tokens == 24);
  check_whole(w, 2);
  check_clean(w);
}

TEST_CASE("a prefix is shared while its first owner still runs, but not before it is computed") {
  worker_double w{small_config(64)};
  REQUIRE(w.add(a_request(1, some_tokens(16, 1), 40)));
  REQUIRE(w.step());
  REQUIRE(w.add(a_request(2, some_tokens(16, 1), 4)));
  REQUIRE(w.step());
  w.complete();
  w.complete();
  REQUIRE(w.add(a_request(3, some_tokens(16, 1), 4)));
  w.run();
  for (std::uint64_t id = 1; id <= 3; ++id)
    check_whole(w, id);
  CHECK(w.of(2).finished->usage.cached_tokens == 0);
  CHECK(w.of(3).finished->usage.cached_tokens == 12);
  check_clean(w);
}

TEST_CASE("what is evicted of a cached prompt is its end") {
  worker_double w{small_config(16)};
  REQUIRE(w.add(a_request(1, some_tokens(40, 1), 2)));
  w.run();
  // Ten blocks are cached, six are empty; this takes nine.
  REQUIRE(w.add(a_request(2, some_tokens(34, 2), 2)));
  w.run();
  REQUIRE(w.add(a_request(3, some_tokens(40, 1), 2)));
  w.run();
  CHECK(w.of(3).finished->usage.cached_tokens == 28);
  for (std::uint64_t id = 1; id <= 3; ++id)
    check_whole(w, id);
  check_clean(w);
}

TEST_CASE("texts are right even if every hash collides") {
  worker_double w{small_config(64), {}, [](auto, auto) { return std::uint64_t{7}; }};
  for (std::uint64_t id = 1; id <= 12; ++id)
    REQUIRE(w.add(a_request(id, some_tokens(13, id % 3), 9)));
  w.run();
  for (std::uint64_t id = 1; id <= 12; ++id)
    check_whole(w, id);
  check_clean(w);
}

TEST_CASE("a lower priority number overtakes what is queued, equal ones keep their order") {
  auto config = small_config(64);
  config.running_max = 1;
  worker_double w{config};
  for (std::uint64_t id = 1; id <= 4; ++id) {
    auto r = a_request(id, some_tokens(5, id), 5);
    r.priority = id == 4 ? -1 : 0;
    REQUIRE(w.add(r));
    if (id == 1)
      w.step();
  }
  w.run();
  CHECK(w.of(1).first_token_at < w.of(4).first_token_at);
  CHECK(w.of(4).first_token_at < w.of(2).first_token_at);
  CHECK(w.of(2).first_token_at < w.of(3).first_token_at);
  check_clean(w);
}

TEST_CASE("an urgent prompt overtakes one that is half prefilled") {
  auto config = small_config(128);
  config.step_tokens_max = config.chunk_tokens_max = 16;
  worker_double w{config};
  REQUIRE(w.add(a_request(1, some_tokens(200, 1), 2)));
  w.step();
  auto urgent = a_request(2, some_tokens(30, 2), 2);
  urgent.priority = -1;
  REQUIRE(w.add(urgent));
  w.run();
  CHECK(w.of(2).first_token_at < w.of(1).first_token_at);
  CHECK(w.of(2).first_token_at < 5);
  check_clean(w);
}

TEST_CASE("a sequence is refused if it is malformed, known, late, too long, or one too many") {
  auto config = small_config(8);
  config.queued_max = 2;
  worker_double w{config};
  w.now += 1h;
  const auto code_of = [&](sequence_request r) {
    const auto added = w.add(std::move(r));
    return added ? errc::none : added.error().code;
  };
  CHECK(code_of(a_request(1, {}, 4)) == errc::invalid_argument);
  auto r = a_request(1, some_tokens(4, 1), 4);
  r.prompt_tokens = 5;
  CHECK(code_of(r) == errc::invalid_argument);
  CHECK(code_of(a_request(1, some_tokens(4, 1), 0)) == errc::invalid_argument);
  CHECK(code_of(a_request(1, some_tokens(256, 1), 4)) == errc::context_too_long);
  CHECK(code_of(a_request(1, some_tokens(30, 1), 4)) == errc::context_too_long);
  CHECK(code_of(a_request(1, some_tokens(30, 1), 3)) == errc::none);
  CHECK(code_of(a_request(1, some_tokens(4, 1), 4)) == errc::invalid_argument);
  r = a_request(2, some_tokens(4, 1), 4);
  r.deadline = w.now;
  CHECK(code_of(r) == errc::deadline_exceeded);
  CHECK(code_of(a_request(2, some_tokens(4, 1), 4)) == errc::none);
  CHECK(code_of(a_request(3, some_tokens(4, 1), 4)) == errc::overloaded);
  CHECK(w.tested.counters().refused == 8);
  w.run();
  CHECK(code_of(a_request(3, some_tokens(4, 1), 4)) == errc::none);
  w.run();
  check_whole(w, 1);
  check_clean(w);
}

TEST_CASE("a cancelled sequence leaves its blocks when the last step in flight that uses them is back") {
  worker_double w{small_config(16)};
  REQUIRE(w.add(a_request(1, some_tokens(10, 1), 30)));
  w.step();
  w.step();
  CHECK(w.cancel(1));
  CHECK(!w.cancel(1));
  CHECK(w.tested.load().tightest().free_blocks < 16);
  w.complete();
  CHECK(w.tested.load().tightest().free_blocks < 16);
  w.complete();
  CHECK(w.of(1).output.empty());
  check_clean(w);
}

TEST_CASE("five hundred cancels in mid-stream leave everything free") {
  worker_double w{small_config(24)};
  for (std::uint64_t id = 1; id <= 500; ++id) {
    REQUIRE(w.add(a_request(id, some_tokens(10 + id % 7, id), 40)));
    for (std::uint64_t i = 0; i < id % 9; ++i) {
      w.step();
      if (i % 2 != 0)
        w.complete();
    }
    w.cancel(id);
  }
  w.run();
  check_clean(w);
}

TEST_CASE("what is past its deadline fails, queued or running, and leaves its blocks") {
  auto config = small_config(32);
  config.running_max = 1;
  worker_double w{config};
  for (std::uint64_t id = 1; id <= 3; ++id) {
    auto r = a_request(id, some_tokens(8, id), 30);
    r.deadline = w.now + 20s;
    r.queue_deadline = w.now + (id == 2 ? 10s : 30s);
    REQUIRE(w.add(r));
  }
  w.step();
  w.now += 10s;
  w.expire();
  CHECK(!w.of(1).failed);
  REQUIRE(w.of(2).failed);
  CHECK(w.of(2).failed->code == errc::deadline_exceeded);
  w.now += 10s;
  w.expire();
  CHECK(w.of(1).failed);
  CHECK(w.of(3).failed);
  w.run();
  check_clean(w);
}

TEST_CASE("a sequence that became late in the queue is not started") {
  worker_double w{small_config(32)};
  auto r = a_request(1, some_tokens(8, 1), 30);
  r.queue_deadline = w.now + 10s;
  REQUIRE(w.add(r));
  w.now += 11s;
  CHECK(!w.step());
  CHECK(w.of(1).failed);
  check_clean(w);
}

TEST_CASE("a failed step fails its own sequences, and others go on") {
  auto config = small_config(64);
  config.step_tokens_max = config.chunk_tokens_max = 16;
  config.steps_in_flight_max = 1;
  worker_double w{config};
  REQUIRE(w.add(a_request(1, some_tokens(32, 1), 5)));
  REQUIRE(w.add(a_request(2, some_tokens(8, 2), 5)));
  w.step();
  CHECK(w.last_step.rows.size() == 1);
  w.complete_failed(gpu::errc::resource);
  REQUIRE(w.of(1).failed);
  CHECK(w.of(1).failed->code == errc::device_failed);
  w.run();
  check_whole(w, 2);
  check_clean(w);
  // Nothing that the failed step should have computed is in the cache.
  REQUIRE(w.add(a_request(3, some_tokens(32, 1), 5)));
  w.run();
  check_whole(w, 3);
  CHECK(w.of(3).finished->usage.cached_tokens == 0);
}

TEST_CASE("a result that lacks a row or a token fails its step") {
  worker_double w{small_config(64)};
  REQUIRE(w.add(a_request(1, some_tokens(8, 1), 5)));
  w.step();
  auto result = w.executor.run();
  result.rows[0].token.reset();
  scheduler_events events;
  w.tested.complete(result, events);
  w.absorb(events);
  REQUIRE(w.of(1).failed);
  CHECK(w.of(1).failed->code == errc::internal);
  check_clean(w);
}

TEST_CASE("when the device is lost every sequence fails, nothing is cached, and late results are ignored") {
  worker_double w{small_config(64)};
  for (std::uint64_t id = 1; id <= 3; ++id)
    REQUIRE(w.add(a_request(id, some_tokens(16, id), 30)));
  w.step();
  w.complete();
  w.step();
  w.step();
  w.lose_device();
  for (std::uint64_t id = 1; id <= 3; ++id)
    CHECK(w.of(id).failed->code == errc::device_failed);
  check_clean(w);
  scheduler_events late;
  gpu::step_result result;
  result.id = step_id{2};
  w.tested.complete(result, late);
  CHECK(late.failures.empty());
  REQUIRE(w.add(a_request(4, some_tokens(16, 1), 30)));
  w.run();
  check_whole(w, 4);
  CHECK(w.of(4).finished->usage.cached_tokens == 0);
  check_clean(w);
}

TEST_CASE("a prefill_only sequence reports its blocks as they are computed and holds them until its release") {
  auto config = small_config(64);
  config.step_tokens_max = config.chunk_tokens_max = 8;
  worker_double w{config};
  const auto prompt = some_tokens(30, 1);
  REQUIRE(w.add(a_request(1, prompt, 0, sequence_mode::prefill_only)));
  w.step();
  w.step();
  CHECK(w.of(1).pushed.empty());
  w.complete();
  CHECK(w.of(1).pushed.size() == 2);
  w.step();
  w.step();
  w.complete();
  CHECK(w.of(1).pushed.size() == 4);
  CHECK(!w.of(1).first);
  w.run();
  CHECK(w.of(1).pushed.size() == 8);
  CHECK(w.of(1).first == w.model.next(prompt));
  CHECK(w.tested.load().tightest().free_blocks == 56);
  w.tested.release(request_id{1});
  check_clean(w);

  REQUIRE(w.add(a_request(2, prompt, 0, sequence_mode::prefill_only)));
  w.run();
  // What was cached is reported too, with the first range.
  CHECK(w.of(2).pushed.size() == 8);
  CHECK(w.of(2).first == w.model.next(prompt));
  CHECK(w.tested.counters().prompt_tokens_computed == 32);
  w.tested.release(request_id{2});
  check_clean(w);
}

TEST_CASE("most of a long prompt's blocks are reported before its last chunk is submitted") {
  auto config = small_config(80);
  config.block_tokens = 16;
  config.context_tokens = 2048;
  worker_double w{config};
  REQUIRE(w.add(a_request(1, some_tokens(1000, 1), 0, sequence_mode::prefill_only)));
  std::size_t before_last = 0;
  while (!w.of(1).first) {
    while (w.step())
      before_last = w.of(1).pushed.size();
    REQUIRE(w.complete());
  }
  CHECK(w.of(1).pushed.size() == 63);
  CHECK(before_last >= 40);
  w.tested.release(request_id{1});
  check_clean(w);
}

TEST_CASE("one of many rows is the prefill of a newcomer") {
  worker_double w{small_config(64)};
  REQUIRE(w.add(a_request(1, some_tokens(6, 1), 30)));
  w.step();
  REQUIRE(w.add(a_request(2, some_tokens(9, 2), 30)));
  w.step();
  CHECK(is_in(w.last_step, 6));
  CHECK(is_in(w.last_step, 0));
  w.run();
  check_whole(w, 1);
  check_whole(w, 2);
  check_clean(w);
}
