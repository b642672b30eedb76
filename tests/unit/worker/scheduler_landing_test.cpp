// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <doctest/doctest.h>

#include "tests/unit/worker/worker_double.hpp"

using namespace troupe;
using namespace troupe::test;
using writer = scheduler::landing_writer;

namespace {

void check_end(worker_double& w, std::uint64_t id) {
  REQUIRE(w.of(id).finished);
  CHECK(w.of(id).output == w.reference(id));
  CHECK(w.executor.fault == std::nullopt);
  CHECK(w.tested.load().tightest().free_blocks == w.config.blocks);
  CHECK(w.tested.idle());
}

} // namespace

TEST_CASE("a landing sequence runs from its first decode, and computes no prompt token") {
  worker_double w{small_config(32)};
  REQUIRE(w.add(a_request(1, some_tokens(18, 1), 9, sequence_mode::landing)));
  CHECK(!w.step());
  REQUIRE(w.of(1).reserved);
  CHECK(w.of(1).reserved->missing[0].blocks.size() == 5);
  CHECK(w.of(1).reserved->missing[0].first_block == 0);
  CHECK(w.tested.load().landing == 1);
  w.write_landing(1);
  CHECK(!w.step());
  w.land(1, 4);
  CHECK(w.of(1).output.size() == 1);
  REQUIRE(w.step());
  CHECK(w.last_step.rows.at(0).position == 18);
  w.run();
  CHECK(w.tested.counters().prompt_tokens_computed == 0);
  CHECK(w.of(1).finished->usage.cached_tokens == 4);
  check_end(w, 1);
}

TEST_CASE("a landing that is a whole number of blocks takes a block for its first decode") {
  worker_double w{small_config(32)};
  REQUIRE(w.add(a_request(1, some_tokens(16, 1), 9, sequence_mode::landing)));
  w.step();
  CHECK(w.of(1).reserved->missing[0].blocks.size() == 4);
  w.write_landing(1);
  w.land(1);
  w.run();
  check_end(w, 1);
}

TEST_CASE("a landed prompt is found by the next one, which is asked to fill the rest only") {
  worker_double w{small_config(32)};
  REQUIRE(w.add(a_request(1, some_tokens(18, 1), 9, sequence_mode::landing)));
  w.step();
  w.write_landing(1);
  w.land(1);
  w.run();
  REQUIRE(w.add(a_request(2, some_tokens(18, 1), 9, sequence_mode::landing)));
  w.step();
  CHECK(w.of(2).reserved->missing[0].first_block == 4);
  CHECK(w.of(2).reserved->cached_tokens == 16);
  w.write_landing(2);
  w.land(2, 16);
  w.run();
  check_end(w, 2);
}

TEST_CASE("a landing that ends with its first token emits it and no more") {
  worker_double w{small_config(32)};
  REQUIRE(w.add(a_request(1, some_tokens(6, 1), 1, sequence_mode::landing)));
  auto stopped = a_request(2, some_tokens(6, 2), 10, sequence_mode::landing);
  stopped.stop_tokens = {w.model.next(stopped.tokens)};
  REQUIRE(w.add(stopped));
  w.step();
  w.write_landing(1);
  w.write_landing(2);
  w.land(1);
  w.land(2);
  CHECK(w.of(1).finished->reason == finish_reason::length);
  CHECK(w.of(1).output.size() == 1);
  CHECK(w.of(2).finished->reason == finish_reason::stop);
  CHECK(w.of(2).output.empty());
  check_end(w, 1);
}

TEST_CASE("tokens that were emitted before are landed like a prompt") {
  worker_double w{small_config(32)};
  auto r = a_request(1, some_tokens(6, 1), 12, sequence_mode::landing);
  for (int i = 0; i < 3; ++i)
    r.tokens.push_back(w.model.next(r.tokens));
  REQUIRE(w.add(r));
  w.step();
  CHECK(w.of(1).reserved->missing[0].blocks.size() == 3);
  w.write_landing(1);
  w.land(1);
  w.run();
  CHECK(w.of(1).output.size() == 12);
  check_end(w, 1);
}

TEST_CASE("a second landing of a request whose first is not fenced yet is prefilled here") {
  worker_double w{small_config(16)};
  REQUIRE(w.add(a_request(1, some_tokens(18, 1), 9, sequence_mode::landing)));
  w.step();
  w.write_landing(1, 0, 7);
  w.cancel(1);
  CHECK(w.tested.load().tightest().quarantined_blocks == 5);
  REQUIRE(w.add(a_request(1, some_tokens(18, 1), 9, sequence_mode::landing)));
  w.run();
  CHECK(w.of(1).output == w.reference(1));
  CHECK(w.tested.load().tightest().quarantined_blocks == 5);
  w.tested.release_landing(request_id{1});
  CHECK(w.tested.load().tightest().quarantined_blocks == 0);
}

TEST_CASE("a cancelled landing's blocks are given to nobody until its writer is fenced") {
  worker_double w{small_config(8)};
  REQUIRE(w.add(a_request(1, some_tokens(18, 1), 9, sequence_mode::landing)));
  w.step();
  w.write_landing(1, 0, 7);
  w.cancel(1);
  CHECK(w.tested.load().tightest().quarantined_blocks == 5);
  CHECK(w.tested.load().tightest().free_blocks == 3);
  REQUIRE(w.add(a_request(2, some_tokens(14, 2), 9)));
  w.step();
  CHECK(w.tested.load().queued == 1);
  REQUIRE(w.add(a_request(3, some_tokens(5, 3), 3)));
  w.run();
  w.executor.write(0, w.of(1).reserved->missing[0].blocks[1], 0, 1, 1);
  CHECK(!w.of(2).finished);
  w.tested.release_landing(request_id{77});
  CHECK(w.tested.load().tightest().quarantined_blocks == 5);
  w.tested.release_landing(request_id{1});
  w.tested.release_landing(request_id{1});
  w.run();
  CHECK(w.of(3).output == w.reference(3));
  check_end(w, 2);
}

TEST_CASE("a broken landing keeps what is valid, computes the rest, and lets no late write in") {
  worker_double w{small_config(16)};
  REQUIRE(w.add(a_request(1, some_tokens(18, 1), 9, sequence_mode::landing)));
  w.step();
  w.write_landing(1, 0, 11);
  w.break_landing(1, 11, writer::may_still_write);
  CHECK(w.tested.load().tightest().quarantined_blocks == 3);
  w.step();
  CHECK(w.last_step.rows.at(0).position == 8);
  w.write_landing(1, 8, 18);
  w.complete();
  w.run();
  w.tested.release_landing(request_id{1});
  CHECK(w.tested.counters().prompt_tokens_computed == 10);
  check_end(w, 1);
}

TEST_CASE("the blocks of a broken landing whose writer is fenced are free at once") {
  worker_double w{small_config(5)};
  REQUIRE(w.add(a_request(1, some_tokens(18, 1), 2, sequence_mode::landing)));
  w.step();
  w.break_landing(1, 0, writer::fenced);
  CHECK(w.tested.load().tightest().quarantined_blocks == 0);
  w.run();
  CHECK(w.tested.counters().prompt_tokens_computed == 18);
  check_end(w, 1);
}

TEST_CASE("a landing that fails or is late leaves its blocks in quarantine") {
  worker_double w{small_config(16)};
  auto r = a_request(1, some_tokens(8, 1), 9, sequence_mode::landing);
  r.deadline = w.now + std::chrono::seconds{5};
  REQUIRE(w.add(r));
  REQUIRE(w.add(a_request(2, some_tokens(8, 2), 9, sequence_mode::landing)));
  w.step();
  w.now += std::chrono::seconds{5};
  w.expire();
  CHECK(w.of(1).failed->code == errc::deadline_exceeded);
  CHECK(w.tested.load().tightest().quarantined_blocks == 2);
  w.lose_device();
  CHECK(w.tested.load().tightest().quarantined_blocks == 4);
  w.tested.release_landing(request_id{2});
  w.tested.release_landing(request_id{1});
  CHECK(w.tested.load().tightest().free_blocks == 16);
  // Late word of them changes nothing.
  w.land(1);
  w.break_landing(1, 4, writer::may_still_write);
  CHECK(w.executor.fault == std::nullopt);
}

TEST_CASE("a landed sequence that is preempted is computed here") {
  worker_double w{small_config(8)};
  for (std::uint64_t id = 1; id <= 2; ++id)
    REQUIRE(w.add(a_request(id, some_tokens(9, id), 20, sequence_mode::landing)));
  w.step();
  for (std::uint64_t id = 1; id <= 2; ++id) {
    w.write_landing(id);
    w.land(id);
  }
  w.run();
  CHECK(w.tested.counters().preemptions > 0);
  CHECK(w.of(1).output == w.reference(1));
  check_end(w, 2);
}

TEST_CASE("landings and local prompts get blocks in one order") {
  auto config = small_config(8);
  worker_double w{config};
  REQUIRE(w.add(a_request(1, some_tokens(20, 1), 2, sequence_mode::landing)));
  REQUIRE(w.add(a_request(2, some_tokens(20, 2), 2)));
  REQUIRE(w.add(a_request(3, some_tokens(4, 3), 2, sequence_mode::landing)));
  w.run();
  CHECK(w.of(1).reserved);
  CHECK(!w.of(3).reserved);
  w.write_landing(1);
  w.land(1);
  w.run();
  CHECK(w.of(2).finished);
  REQUIRE(w.of(3).reserved);
  w.write_landing(3);
  w.land(3);
  w.run();
  check_end(w, 3);
}
