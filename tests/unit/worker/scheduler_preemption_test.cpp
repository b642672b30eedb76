// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <doctest/doctest.h>

#include "tests/unit/worker/worker_double.hpp"

using namespace troupe;
using namespace troupe::test;

TEST_CASE("sixteen sequences that need 200 blocks on a pool of 64 all finish with unchanged text") {
  auto config = small_config(64);
  config.block_tokens = 16;
  config.slots = config.running_max = config.rows_max = 16;
  worker_double w{config};
  for (std::uint64_t id = 1; id <= 16; ++id)
    REQUIRE(w.add(a_request(id, some_tokens(40, id), 160)));
  w.run();
  for (std::uint64_t id = 1; id <= 16; ++id) {
    REQUIRE(w.of(id).finished);
    CHECK(w.of(id).output == w.reference(id));
  }
  CHECK(w.tested.counters().preemptions > 0);
  CHECK(w.executor.fault == std::nullopt);
  CHECK(w.tested.load().tightest().free_blocks == 64);
}

TEST_CASE("the oldest and most urgent sequence is never preempted") {
  auto config = small_config(12);
  worker_double w{config};
  for (std::uint64_t id = 1; id <= 6; ++id) {
    auto r = a_request(id, some_tokens(6, id), 34);
    r.priority = id == 4 ? -1 : 0;
    REQUIRE(w.add(r));
  }
  w.run();
  CHECK(w.tested.counters().preemptions > 0);
  // Undisturbed it would need one step for each token; it waits for blocks now and then, but loses nothing.
  CHECK(w.of(4).first_token_at == 1);
  CHECK(w.of(4).finished_at < 34 + 6);
  CHECK(w.of(4).finished_at < w.of(1).finished_at);
  CHECK(w.of(1).finished_at < w.of(2).finished_at);
  for (std::uint64_t id = 1; id <= 6; ++id)
    CHECK(w.of(id).output == w.reference(id));
  CHECK(w.executor.fault == std::nullopt);
}

TEST_CASE("a sequence that needs the whole pool finishes among others") {
  worker_double w{small_config(10)};
  for (std::uint64_t id = 1; id <= 5; ++id)
    REQUIRE(w.add(a_request(id, some_tokens(5, id), 36)));
  w.run();
  for (std::uint64_t id = 1; id <= 5; ++id)
    CHECK(w.of(id).output == w.reference(id));
  CHECK(w.tested.load().tightest().free_blocks == 10);
  CHECK(w.executor.fault == std::nullopt);
}

TEST_CASE("tokens that steps in flight draw for a preempted sequence are its next tokens") {
  auto config = small_config(6);
  worker_double w{config};
  REQUIRE(w.add(a_request(1, some_tokens(7, 1), 17)));
  REQUIRE(w.add(a_request(2, some_tokens(7, 2), 17)));
  const auto& preemptions = w.tested.counters().preemptions;
  while (preemptions == 0)
    if (!w.step() && preemptions == 0)
      REQUIRE(w.complete());
  const auto known = w.of(2).output.size();
  CHECK(w.tested.steps_in_flight() > 0);
  while (w.complete()) {
  }
  CHECK(w.of(2).output.size() > known);
  w.run();
  CHECK(w.of(1).output == w.reference(1));
  CHECK(w.of(2).output == w.reference(2));
  CHECK(w.executor.fault == std::nullopt);
}

TEST_CASE("a preempted sequence comes back before those that never started") {
  auto config = small_config(6);
  worker_double w{config};
  for (std::uint64_t id = 1; id <= 3; ++id)
    REQUIRE(w.add(a_request(id, some_tokens(7, id), 17)));
  w.run();
  CHECK(w.tested.counters().preemptions > 0);
  CHECK(w.of(2).first_token_at < w.of(3).first_token_at);
  for (std::uint64_t id = 1; id <= 3; ++id)
    CHECK(w.of(id).output == w.reference(id));
  CHECK(w.executor.fault == std::nullopt);
}

TEST_CASE("a preempted sequence counts neither in the queue's bound nor for its queue deadline") {
  auto config = small_config(6);
  config.queued_max = 1;
  worker_double w{config};
  for (std::uint64_t id = 1; id <= 2; ++id) {
    auto r = a_request(id, some_tokens(7, id), 17);
    r.queue_deadline = w.now + std::chrono::seconds{1};
    REQUIRE(w.add(r));
    w.step();
  }
  while (w.tested.load().queued == 0)
    REQUIRE((w.step() || w.complete()));
  w.now += std::chrono::seconds{2};
  w.expire();
  CHECK(!w.of(2).failed);
  CHECK(w.add(a_request(3, some_tokens(7, 3), 17)));
  w.run();
  for (std::uint64_t id = 1; id <= 3; ++id)
    CHECK(w.of(id).output == w.reference(id));
  CHECK(w.executor.fault == std::nullopt);
}
