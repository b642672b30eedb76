// SPDX-License-Identifier: Apache-2.0
// The sliding cache group: windows of 8 tokens over blocks of 4, so that a sequence sees 2 to 3 blocks.
#include <algorithm>

#include <doctest/doctest.h>

#include "actors/worker/kv_sizes.hpp"
#include "tests/unit/worker/worker_double.hpp"

using namespace troupe;
using namespace troupe::test;
using writer = scheduler::landing_writer;

namespace {

constexpr std::uint32_t window = 8;

std::uint32_t held_windows(const worker_double& w) {
  const auto group = w.tested.load().groups[1];
  return group.blocks - group.free_blocks - group.quarantined_blocks;
}

void check_end(worker_double& w, std::uint64_t id) {
  REQUIRE(w.of(id).finished);
  CHECK(w.of(id).output == w.reference(id));
  CHECK(w.executor.fault.value_or("") == "");
  for (const auto& group : w.tested.load().groups)
    CHECK(group.free_blocks == group.blocks);
}

/// Steps until nothing moves; the most blocks of the sliding group that were held on the way.
std::uint32_t run_and_watch(worker_double& w) {
  std::uint32_t most = 0;
  for (int i = 0; i < patience; ++i) {
    while (w.step())
      most = std::max(most, held_windows(w));
    if (!w.complete())
      return most;
  }
  FAIL("it does not come to an end");
  return most;
}

/// Request 1, a prompt of 38 tokens, lands as far as `valid_tokens`; then its landing breaks.
void land_in_part(worker_double& w, std::uint32_t valid_tokens, writer whose) {
  REQUIRE(w.add(a_request(1, some_tokens(38, 1), 9, sequence_mode::landing)));
  w.step();
  w.write_landing(1, 0, valid_tokens);
  w.break_landing(1, valid_tokens, whose);
}

} // namespace

TEST_CASE("a token sees itself and the window's tokens before it") {
  CHECK(gpu::first_visible_block(7, 8, 4) == 0);
  CHECK(gpu::first_visible_block(10, 8, 4) == 0); // position 3
  CHECK(gpu::first_visible_block(11, 8, 4) == 1); // position 4
  CHECK(gpu::first_visible_block(4, 1, 4) == 1);
  CHECK(gpu::first_visible_block(1000, 0, 4) == 0);
}

TEST_CASE("a long text holds as many blocks of the sliding group as its window, and what slid out is free") {
  auto config = small_windows(64, window, 64);
  config.chunk_tokens_max = 8;
  worker_double w{config};
  REQUIRE(w.add(a_request(1, some_tokens(100, 1), 100)));
  // The window before a chunk, and two chunks in flight.
  CHECK(run_and_watch(w) <= 3 + 2 + 2);
  check_end(w, 1);
  REQUIRE(w.add(a_request(2, some_tokens(3, 2), 200)));
  CHECK(run_and_watch(w) <= window_share(config));
  check_end(w, 2);
}

TEST_CASE("blocks that slid out are written by other sequences, and no text changes") {
  auto config = small_windows(200, window, 0);
  config.window_blocks = 3 * window_share(config);
  worker_double w{config};
  for (std::uint64_t id = 1; id <= 6; ++id)
    REQUIRE(w.add(a_request(id, some_tokens(10 + 7 * static_cast<std::uint32_t>(id), id), 70)));
  w.run();
  // All together write many times what the group has.
  for (std::uint64_t id = 1; id <= 6; ++id)
    check_end(w, id);
}

TEST_CASE("a prompt of many windows is computed in pieces that fit a group of one share") {
  auto config = small_windows(64, window, 0);
  config.window_blocks = window_share(config);
  worker_double w{config};
  REQUIRE(w.add(a_request(1, some_tokens(100, 1), 20)));
  CHECK(run_and_watch(w) <= config.window_blocks);
  CHECK(w.tested.counters().preemptions == 0);
  check_end(w, 1);
}

TEST_CASE("with the blocks that the group can use no chunk is cut and nobody waits") {
  const auto steps_of = [](scheduler_config config) {
    config.running_max = 6;
    worker_double w{config};
    for (std::uint64_t id = 1; id <= 6; ++id)
      REQUIRE(w.add(a_request(id, some_tokens(20 * static_cast<std::uint32_t>(id), id), 60)));
    w.run();
    for (std::uint64_t id = 1; id <= 6; ++id)
      check_end(w, id);
    return w.tested.counters().steps;
  };
  auto config = small_windows(600, window, 0);
  config.running_max = 6;
  config.window_blocks = static_cast<std::uint32_t>(window_blocks_max(config));
  CHECK(steps_of(config) == steps_of(small_config(600)));
  // A group as large as the full one does as well, though that is too small for all.
  CHECK(steps_of(small_windows(70, window, 70)) == steps_of(small_config(70)));
}

TEST_CASE("a prefix is shared while the sliding group has what its next token sees") {
  worker_double w{small_windows(64, window, 64)};
  REQUIRE(w.add(a_request(1, some_tokens(33, 1), 2)));
  w.run();
  REQUIRE(w.add(a_request(2, some_tokens(33, 1), 2)));
  w.run();
  CHECK(w.of(2).finished->usage.cached_tokens == 32);
  SUBCASE("also one that ends where the window slid on long ago") {
    auto shorter = some_tokens(33, 1);
    shorter.resize(18);
    REQUIRE(w.add(a_request(3, shorter, 2)));
    w.run();
    CHECK(w.of(3).finished->usage.cached_tokens == 16);
    check_end(w, 3);
  }
  check_end(w, 2);
}

TEST_CASE("a prefix of which the sliding group has lost a part is shared as far as it has all") {
  // 9 blocks of the sliding group; the first prompt's eight full ones are registered in their order.
  auto config = small_windows(64, window, 9);
  config.chunk_tokens_max = 4;
  worker_double w{config};
  auto prompt = some_tokens(33, 1);
  REQUIRE(w.add(a_request(1, prompt, 1)));
  w.run();
  // Another evicts the oldest blocks: 0, 1 and so on; then of the last window.
  std::uint32_t cached = 32;
  for (std::uint64_t id = 2; cached > 0 && id < 40; ++id) {
    REQUIRE(w.add(a_request(2 * id, some_tokens(8, 2 * id), 1)));
    REQUIRE(w.add(a_request(2 * id + 1, prompt, 1)));
    w.run();
    const auto now = w.of(2 * id + 1).finished->usage.cached_tokens;
    CHECK(now % 4 == 0);
    CHECK(w.of(2 * id + 1).output == w.reference(2 * id + 1));
    cached = std::min(cached, now);
  }
  SUBCASE("nothing is used where the last window is gone") {
    REQUIRE(w.add(a_request(100, some_tokens(40, 100), 1)));
    w.run();
    REQUIRE(w.add(a_request(101, prompt, 1)));
    w.run();
    CHECK(w.of(101).finished->usage.cached_tokens == 0);
    CHECK(w.tested.counters().prompt_tokens_computed >= 33 + 40 + 33);
  }
  CHECK(w.executor.fault.value_or("") == "");
  CHECK(held_windows(w) == 0);
}

TEST_CASE("a landing wants of the sliding group what the token after the prompt sees") {
  worker_double w{small_windows(32, window, 16)};
  REQUIRE(w.add(a_request(1, some_tokens(22, 1), 9, sequence_mode::landing)));
  w.step();
  // The token at 22 sees 15 … 22, of which 15 … 21 are in blocks 3, 4 and 5.
  CHECK(w.of(1).reserved->missing[0].first_block == 0);
  CHECK(w.of(1).reserved->missing[1].first_block == 3);
  CHECK(w.of(1).reserved->missing[1].blocks.size() == 3);
  CHECK(held_windows(w) == 3);
  w.write_landing(1);
  w.land(1);
  w.run();
  CHECK(w.tested.counters().prompt_tokens_computed == 0);
  check_end(w, 1);
  SUBCASE("and what is there already is not asked for") {
    REQUIRE(w.add(a_request(2, some_tokens(22, 1), 9, sequence_mode::landing)));
    w.step();
    CHECK(w.of(2).reserved->missing[0].first_block == 5);
    CHECK(w.of(2).reserved->missing[1].first_block == 5);
    w.write_landing(2);
    w.land(2, 20);
    w.run();
    check_end(w, 2);
  }
}

TEST_CASE("a landing whose prefix is there in the full group only wants the window and no more") {
  auto config = small_windows(64, window, 6);
  worker_double w{config};
  REQUIRE(w.add(a_request(1, some_tokens(22, 1), 2, sequence_mode::landing)));
  w.step();
  w.write_landing(1);
  w.land(1);
  w.run();
  REQUIRE(w.add(a_request(2, some_tokens(40, 2), 2))); // overwrites the sliding group
  w.run();
  REQUIRE(w.add(a_request(3, some_tokens(22, 1), 2, sequence_mode::landing)));
  w.step();
  CHECK(w.of(3).reserved->missing[0].first_block == 5);
  CHECK(w.of(3).reserved->missing[1].first_block == 3);
  CHECK(w.of(3).reserved->missing[1].blocks.size() == 3);
  SUBCASE("and runs with it") {
    w.write_landing(3);
    w.land(3, 20);
    REQUIRE(w.add(a_request(4, some_tokens(22, 1), 2, sequence_mode::landing)));
    w.step();
    CHECK(w.of(4).reserved->missing[1].first_block == 5);
    w.write_landing(4);
    w.land(4, 20);
    w.run();
    check_end(w, 3);
    check_end(w, 4);
  }
  SUBCASE("of which nothing is used that did not land") {
    w.write_landing(3, 0, 16);
    w.break_landing(3, 16, writer::may_still_write);
    CHECK(w.tested.load().groups[0].quarantined_blocks == 1);
    CHECK(w.tested.load().groups[1].quarantined_blocks == 2);
    w.step();
    CHECK(w.last_step.rows.at(0).position == 0);
    w.write_landing(3, 16, 22);
    w.run();
    w.tested.release_landing(request_id{3});
    check_end(w, 3);
  }
  SUBCASE("and leaves all of it in quarantine if it is cancelled") {
    w.cancel(3);
    CHECK(w.tested.load().groups[0].quarantined_blocks == 1);
    CHECK(w.tested.load().groups[1].quarantined_blocks == 3);
    w.tested.release_landing(request_id{3});
    CHECK(held_windows(w) == 0);
  }
}

TEST_CASE("a broken landing's blocks are in quarantine in both groups, and what no window needs is kept") {
  worker_double w{small_windows(32, window, 16)};
  land_in_part(w, 36, writer::may_still_write);
  // Block 9 of both; those of the sliding group before 7 never came, so that a prefix of 9 blocks is whole.
  CHECK(w.tested.load().groups[0].quarantined_blocks == 1);
  CHECK(w.tested.load().groups[1].quarantined_blocks == 1);
  w.step();
  CHECK(w.last_step.rows.at(0).position == 36);
  w.write_landing(1, 36, 38);
  w.run();
  w.tested.release_landing(request_id{1});
  check_end(w, 1);
}

TEST_CASE("a landing that broke before its last window is computed from its start") {
  worker_double w{small_windows(32, window, 16)};
  land_in_part(w, 24, writer::fenced);
  CHECK(w.tested.load().groups[1].quarantined_blocks == 0);
  w.step();
  CHECK(w.last_step.rows.at(0).position == 0);
  w.run();
  check_end(w, 1);
}

TEST_CASE("a prompt that is computed for others keeps its last window until it is released") {
  auto config = small_windows(32, window, 16);
  config.chunk_tokens_max = 8;
  worker_double w{config};
  REQUIRE(w.add(a_request(1, some_tokens(30, 1), 1, sequence_mode::prefill_only)));
  w.run();
  // The token at 30 sees 23 … 30: blocks 5, 6 and 7.
  CHECK(w.of(1).pushed.size() == 8);
  CHECK(w.of(1).pushed_windows.size() == 3);
  CHECK(held_windows(w) == 3);
  w.tested.release(request_id{1});
  CHECK(held_windows(w) == 0);
  CHECK(w.executor.fault.value_or("") == "");
}

TEST_CASE("prompts that are computed for others together never wait for each other for ever") {
  for (std::uint32_t shares = 1; shares <= 4; ++shares) {
    CAPTURE(shares);
    auto config = small_windows(200, window, 0);
    config.window_blocks = shares * window_share(config) + 1;
    worker_double w{config};
    // The same beginning: blocks that are shared come back when their last holder slides on.
    for (std::uint64_t id = 1; id <= 6; ++id) {
      auto prompt = some_tokens(40, 1);
      const auto rest = some_tokens(30, id);
      prompt.insert(prompt.end(), rest.begin(), rest.end());
      REQUIRE(w.add(a_request(id, prompt, 1, sequence_mode::prefill_only)));
    }
    for (std::uint64_t id = 1; id <= 6; ++id) {
      w.run();
      REQUIRE(w.of(id).first);
      CHECK(*w.of(id).first == w.model.next(w.of(id).request.tokens));
      w.tested.release(request_id{id});
      w.of(id).is_over = true;
    }
    CHECK(held_windows(w) == 0);
    CHECK(w.executor.fault.value_or("") == "");
  }
}

TEST_CASE("sequences are preempted for the sliding group's blocks, too, and lose nothing") {
  auto config = small_windows(200, window, 0);
  config.window_blocks = 2 * window_share(config);
  worker_double w{config};
  for (std::uint64_t id = 1; id <= 6; ++id)
    REQUIRE(w.add(a_request(id, some_tokens(3, id), 60)));
  w.run();
  CHECK(w.tested.counters().preemptions > 0);
  for (std::uint64_t id = 1; id <= 6; ++id)
    check_end(w, id);
}

TEST_CASE("a prompt that is cancelled in the middle gives back what it has in both groups when its steps are done") {
  auto config = small_windows(64, window, 32);
  config.chunk_tokens_max = 8;
  worker_double w{config};
  REQUIRE(w.add(a_request(1, some_tokens(100, 1), 9)));
  w.step();
  w.step();
  w.complete();
  w.cancel(1);
  CHECK(held_windows(w) > 0);
  REQUIRE(w.add(a_request(2, some_tokens(50, 2), 9)));
  w.run();
  check_end(w, 2);
}

TEST_CASE("a window that the sliding group cannot hold is refused") {
  auto config = small_windows(64, window, 2);
  worker_double w{config};
  const auto refused = w.add(a_request(1, some_tokens(20, 1), 9));
  REQUIRE(!refused);
  CHECK(refused.error().code == errc::context_too_long);
  CHECK(w.add(a_request(2, some_tokens(5, 2), 3)));
  w.run();
  check_end(w, 2);
}

TEST_CASE("KV memory is divided so that the sliding group is never short before the full one is") {
  gpu::cache_group full{.layers = 3, .block_tokens = 16, .block_bytes = 100};
  gpu::cache_group sliding{
    .kind = gpu::group_kind::sliding, .window_tokens = 512, .layers = 15, .block_tokens = 16, .block_bytes = 500};
  scheduler_config limits;
  limits.running_max = 4;
  limits.step_tokens_max = 512;
  limits.context_tokens = 160;
  const std::array both{full, sliding};
  const std::array one{full};
  CHECK(divide_kv_memory(1'050, one, limits) == kv_sizes{10, 0});
  CHECK(divide_kv_memory(99, one, limits) == std::nullopt);
  CHECK(divide_kv_memory(599, both, limits) == std::nullopt);
  // As many of each, while all could be held.
  CHECK(divide_kv_memory(6'000, both, limits) == kv_sizes{10, 10});
  // (512 + 2 - 2) / 16 + 1 blocks for each of four, and two steps of 512 tokens.
  CHECK(divide_kv_memory(600'000, both, limits) == kv_sizes{6'000 - 5 * 196, 4 * 33 + 64});
  // A context of 2,000 blocks has its place, as long as four sequences have theirs.
  limits.running_max = 64;
  limits.context_tokens = 32'000;
  CHECK(divide_kv_memory(1'100'000, both, limits) == kv_sizes{2'000, 1'800});
  CHECK(divide_kv_memory(290'000, both, limits) == kv_sizes{2'900 - 5 * 196, 196});
}
