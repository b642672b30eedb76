// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "gpu/mock/mock_executor.hpp"
#include "tests/support/executor_driver.hpp"

using namespace troupe;
using namespace troupe::gpu;
using namespace troupe::gpu::mock;

namespace {

std::unique_ptr<mock_executor> make(mock_options options = {}) {
  auto made = mock_executor::make(std::move(options));
  REQUIRE(made);
  return std::move(*made);
}

/// A step that computes `tokens` from `position` on in the first blocks.
step one_row(std::uint64_t id, std::vector<token_id> tokens, std::uint32_t position, row_want want) {
  step s{.id = {id}, .rows = {}, .tokens = std::move(tokens), .blocks = {0, 1, 2, 3}};
  s.rows.push_back({.position = position,
                    .tokens_count = static_cast<std::uint32_t>(s.tokens.size()),
                    .tables = {{{0, 2}, {2, 2}}},
                    .want = want});
  return s;
}

} // namespace

TEST_CASE("of a sliding group the mock looks at what its tokens see, and at no more") {
  auto executor =
    make({.steps = pace::manual, .kv_blocks = 4, .block_tokens = 4, .window_tokens = 3, .window_blocks = 4});
  step_result last;
  executor->on_done([&](step_result r) { last = std::move(r); });
  REQUIRE(executor->info().groups.size() == 2);
  CHECK(executor->info().groups[1].kind == group_kind::sliding);
  CHECK(executor->info().fingerprint != make({.block_tokens = 4})->info().fingerprint);
  const std::vector<token_id> text{1, 2, 3, 4, 5, 6, 7, 8};
  sampling_options greedy;
  greedy.temperature = 0;
  REQUIRE(executor->open({0}, greedy, text, 8) == errc::none);
  REQUIRE(executor->submit(one_row(1, {1, 2, 3, 4, 5, 6}, 0, row_want::none)) == errc::none);
  executor->run_one();
  REQUIRE(last.code == errc::none);
  const auto bytes_of = [&](block_id b, std::uint32_t token) {
    const auto& group = executor->info().groups[1];
    return executor->kv_memory(1).data + b * group.block_bytes + token * group.values.token;
  };
  // Position 6 sees 4, 5 and itself. Its table begins with block 2.
  auto next = one_row(2, {7}, 6, row_want::none);
  next.blocks[2] = no_block;
  SUBCASE("what slid out may be anything") {
    *bytes_of(2, 3) ^= std::byte{1};
    REQUIRE(executor->submit(next) == errc::none);
    executor->run_one();
    CHECK(last.code == errc::none);
  }
  SUBCASE("what it sees may not") {
    *bytes_of(3, 0) ^= std::byte{1};
    REQUIRE(executor->submit(next) == errc::none);
    executor->run_one();
    CHECK(last.code == errc::invalid_step);
    CHECK(last.context.find("KV of position 4 in block 3 of group 1") != std::string::npos);
  }
  SUBCASE("a table that lacks what it sees is refused") {
    next.blocks[3] = no_block;
    CHECK(executor->submit(next) == errc::invalid_step);
    auto earlier = one_row(2, {6}, 5, row_want::none); // sees 3
    earlier.blocks[2] = no_block;
    CHECK(executor->submit(earlier) == errc::invalid_step);
  }
}

TEST_CASE("the mock names itself") { CHECK(make()->info().description == "mock"); }

TEST_CASE("a replayed sequence draws the same tokens, whatever its chunks and batch") {
  auto executor = make({.kv_blocks = 32, .block_tokens = 4});
  test::executor_driver driver{*executor};
  auto a = driver.start({1, 2, 3, 4, 5, 6, 7}, test::greedy());
  driver.generate(a, 12, 100);
  auto b = driver.start({1, 2, 3, 4, 5, 6, 7}, test::greedy());
  auto c = driver.start({9, 9}, test::greedy());
  test::driven_sequence* both[] = {&b, &c};
  driver.generate(both, 5, 2);
  driver.restart(b);
  driver.generate(both, 12, 3);
  CHECK(std::ranges::equal(a.output(), b.output()));
  CHECK_FALSE(std::ranges::equal(a.output(), c.output()));
}

TEST_CASE("draws keep to the configured tokens and follow seed and choice unless greedy") {
  auto executor = make({.drawn_tokens = {40, 41, 42, 43}});
  test::executor_driver driver{*executor};
  sampling_options first, second;
  second.choice = 1;
  auto a = driver.start({1}, first);
  auto b = driver.start({1}, second);
  driver.generate(a, 30, 1);
  driver.generate(b, 30, 1);
  CHECK_FALSE(std::ranges::equal(a.output(), b.output()));
  for (auto token : a.output())
    CHECK((token >= 40 && token <= 43));
}

TEST_CASE("a flipped byte in any layer of the KV fails the step that reads it") {
  auto executor = make({.layers = 3, .block_tokens = 4});
  test::executor_driver driver{*executor};
  auto s = driver.start({1, 2, 3, 4, 5}, test::greedy());
  driver.generate(s, 1, 100);
  const auto& group = executor->info().groups[0];
  auto memory = executor->kv_memory(0);
  const auto offset =
    s.blocks[0] * group.block_bytes + 2 * group.keys.layer + group.values_offset + 3 * group.values.token + 9;
  memory.data[offset] ^= std::byte{1};
  step next;
  driver.add_row(next, s, 1);
  const auto result = driver.run(std::move(next));
  CHECK(result.code == errc::invalid_step);
  CHECK(result.context.find("KV of position 3 in block " + std::to_string(s.blocks[0])) != std::string::npos);
  CHECK(result.rows.empty());
}

TEST_CASE("a block of the same tokens after another prefix is not taken for the right one") {
  auto executor = make({.block_tokens = 2});
  test::executor_driver driver{*executor};
  auto a = driver.start({1, 2, 3, 4, 5}, test::greedy());
  auto b = driver.start({8, 2, 3, 4, 5}, test::greedy());
  driver.generate(a, 1, 100);
  driver.generate(b, 1, 100);
  a.blocks[1] = b.blocks[1];
  step next;
  driver.add_row(next, a, 1);
  CHECK(driver.run(std::move(next)).code == errc::invalid_step);
}

TEST_CASE("KV bytes moved to another executor are read there") {
  auto prefill = make();
  auto decode = make();
  test::executor_driver a{*prefill}, b{*decode};
  auto source = a.start({5, 6, 7, 8}, test::greedy());
  a.generate(source, 3, 100);

  auto target = b.start(source.tokens, test::greedy());
  target.computed = source.computed;
  step next;
  b.add_row(next, target, 1);
  const auto bytes = prefill->info().groups[0].block_bytes;
  SUBCASE("moved") {
    std::memcpy(decode->kv_memory(0).data + target.blocks[0] * bytes,
                prefill->kv_memory(0).data + source.blocks[0] * bytes, bytes);
    CHECK(b.run(std::move(next)).code == errc::none);
  }
  SUBCASE("not moved") { CHECK(b.run(std::move(next)).code == errc::invalid_step); }
}

TEST_CASE("tokens that are not the slot's, or a slot that is closed, fail the step") {
  auto executor = make({.steps = pace::manual});
  std::vector<step_result> done;
  executor->on_done([&](step_result r) { done.push_back(std::move(r)); });
  REQUIRE(executor->open({0}, test::greedy(), std::vector<token_id>{1, 2, 3}, 3) == errc::none);
  CHECK(executor->submit(one_row(1, {1, 2, 4}, 0, row_want::sample)) == errc::none);
  CHECK(executor->submit(one_row(2, {1, 2}, 0, row_want::sample)) == errc::none);
  CHECK(executor->submit(one_row(3, {1}, 0, row_want::none)) == errc::full);
  CHECK(executor->run_one());
  CHECK(executor->run_one());
  CHECK_FALSE(executor->run_one());
  executor->close({0});
  CHECK(executor->submit(one_row(3, {1, 2, 3}, 0, row_want::sample)) == errc::none);
  CHECK(executor->run_one());
  REQUIRE(done.size() == 3);
  for (const auto& r : done)
    CHECK(r.code == errc::invalid_step);
  CHECK(executor->completed() == 0);
}

TEST_CASE("a step may take its input from the step in flight before it") {
  auto executor = make({.steps = pace::manual});
  std::vector<step_result> done;
  executor->on_done([&](step_result r) { done.push_back(std::move(r)); });
  executor->open({0}, test::greedy(), std::vector<token_id>{1, 2, 3}, 3);
  CHECK(executor->submit(one_row(1, {1, 2, 3}, 0, row_want::sample)) == errc::none);
  auto next = one_row(2, {}, 3, row_want::sample);
  next.rows[0].from = {{1}, 0};
  CHECK(executor->submit(std::move(next)) == errc::none);
  auto wrong = one_row(3, {}, 4, row_want::sample);
  wrong.rows[0].from = {{2}, 1};
  while (executor->run_one())
    ;
  CHECK(executor->submit(std::move(wrong)) == errc::none);
  executor->run_one();
  REQUIRE(done.size() == 3);
  CHECK(done[0].code == errc::none);
  CHECK(done[1].code == errc::none);
  CHECK(done[2].code == errc::invalid_step);
}

TEST_CASE("the modelled time counts prefill tokens and decode rows and is waited for") {
  const time_model time{.base = std::chrono::milliseconds{1},
                        .prefill_token = std::chrono::milliseconds{2},
                        .decode_row = std::chrono::milliseconds{3},
                        .slowness = 2};
  CHECK(duration_of(one_row(1, {1, 2}, 0, row_want::none), time) == std::chrono::milliseconds{10});
  CHECK(duration_of(one_row(1, {1}, 5, row_want::none), time) == std::chrono::milliseconds{8});
  auto executor = make({.time = time});
  test::executor_driver driver{*executor};
  auto s = driver.start({1, 2}, test::greedy());
  const auto begin = std::chrono::steady_clock::now();
  driver.generate(s, 1, 100);
  CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds{10});
}

TEST_CASE("a gated executor completes exactly the released steps") {
  auto executor = make({.steps = pace::gate});
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<step_result> done;
  executor->on_done([&](step_result r) {
    const std::lock_guard lock{mutex};
    done.push_back(std::move(r));
    changed.notify_all();
  });
  executor->open({0}, test::greedy(), std::vector<token_id>{1, 2, 3}, 3);
  REQUIRE(executor->submit(one_row(1, {1, 2}, 0, row_want::none)) == errc::none);
  REQUIRE(executor->submit(one_row(2, {3}, 2, row_want::sample)) == errc::none);
  executor->release(1);
  {
    std::unique_lock lock{mutex};
    CHECK(changed.wait_for(lock, std::chrono::seconds{20}, [&] { return done.size() == 1; }));
    CHECK_FALSE(changed.wait_for(lock, std::chrono::milliseconds{20}, [&] { return done.size() == 2; }));
  }
  SUBCASE("the rest is lost with the executor, once") {
    executor.reset();
    REQUIRE(done.size() == 2);
    CHECK(done[0].code == errc::none);
    CHECK(done[1].code == errc::device_lost);
  }
  SUBCASE("a lost device completes what it held and what comes") {
    executor->lose_device();
    std::unique_lock lock{mutex};
    CHECK(changed.wait_for(lock, std::chrono::seconds{20}, [&] { return done.size() == 2; }));
    CHECK(done[1].code == errc::device_lost);
  }
}

TEST_CASE("mock: a slow device takes five times as long from its step on, with the same results") {
  mock_options options;
  options.steps = pace::manual;
  options.time.base = std::chrono::milliseconds{2};
  options.fault = mock_fault::slow;
  options.fault_after_steps = 1;
  auto executor = mock_executor::make(options).value();
  std::vector<step_result> done;
  executor->on_done([&](step_result r) { done.push_back(std::move(r)); });
  executor->open({0}, test::greedy(), std::vector<token_id>{1, 2, 3}, 3);
  REQUIRE(executor->submit(one_row(1, {1, 2}, 0, row_want::none)) == errc::none);
  REQUIRE(executor->run_one());
  REQUIRE(executor->submit(one_row(2, {3}, 2, row_want::sample)) == errc::none);
  REQUIRE(executor->run_one());
  REQUIRE(done.size() == 2);
  CHECK(done[0].computed == std::chrono::milliseconds{2});
  CHECK(done[1].computed == std::chrono::milliseconds{10});
  CHECK(done[1].code == errc::none);
}
