// SPDX-License-Identifier: Apache-2.0
// The executor's contract: order, bounds, input from steps in flight, slots, and how it ends.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "gpu/host/host_executor.hpp"
#include "tests/support/executor_driver.hpp"
#include "tests/support/load_weights.hpp"
#include "tests/support/tiny_llama.hpp"

using namespace troupe;
using namespace troupe::gpu;

namespace {

struct engine {
  explicit engine(host::host_executor_options options = {.kv_blocks = 64, .hash_logits = true},
                  const test::tiny_llama::spoiler& spoil = {}) {
    const test::temporary_file file{test::tiny_llama{}.write(spoil)};
    auto opened = gguf_file::open(file.path());
    REQUIRE(opened);
    auto loaded = test::load_weights(*opened);
    REQUIRE(loaded);
    weights = *loaded;
    auto made_pool = host::compute_pool::make(2);
    REQUIRE(made_pool);
    pool = *made_pool;
    auto made = host::make_host_executor(weights, pool, options);
    REQUIRE(made);
    executor = std::move(*made);
  }
  std::shared_ptr<const host::host_weights> weights;
  std::shared_ptr<host::compute_pool> pool;
  std::unique_ptr<gpu::executor> executor;
};

/// Collects completions and waits for them.
class collector {
public:
  explicit collector(executor& e) {
    e.on_done([this](step_result r) {
      const std::lock_guard lock{mutex_};
      results_.push_back(std::move(r));
      changed_.notify_all();
    });
  }
  std::vector<step_result> wait_for(std::size_t count) {
    std::unique_lock lock{mutex_};
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds{60}, [&] { return results_.size() >= count; }));
    return results_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<step_result> results_;
};

step make_step(std::uint64_t id, std::vector<token_id> tokens, std::uint32_t position) {
  step s{.id = {id}, .rows = {}, .tokens = std::move(tokens), .blocks = {0, 1, 2, 3}};
  s.rows.push_back({.position = position,
                    .tokens_count = static_cast<std::uint32_t>(s.tokens.size()),
                    .tables = {{{0, 4}}},
                    .want = row_want::sample});
  return s;
}

step make_step_from(std::uint64_t id, sampled_by from, std::uint32_t position) {
  auto s = make_step(id, {}, position);
  s.rows[0].from = from;
  return s;
}

/// Holds the pool's dispatcher until it goes out of scope.
class blocked_pool {
public:
  explicit blocked_pool(host::compute_pool& pool) {
    // The dispatcher may still look at the flag when this object is gone.
    pool.post([held = held_] { held->wait(true); });
  }
  ~blocked_pool() {
    held_->store(false);
    held_->notify_all();
  }

private:
  std::shared_ptr<std::atomic<bool>> held_ = std::make_shared<std::atomic<bool>>(true);
};

} // namespace

TEST_CASE("info says what the executor is") {
  engine e;
  const auto& info = e.executor->info();
  CHECK(info.description == "host/" + std::string{host::to_string(host::supported_simd_paths().back())});
  CHECK(info.vocabulary == 160);
  CHECK(info.context_tokens == 2048);
  REQUIRE(info.groups.size() == 1);
  const auto& group = info.groups[0];
  CHECK(group.blocks == 64);
  CHECK(group.keys.layer == 2 * 2 * 16 * 16 * 4);
  CHECK(group.keys.dim == 16 * 4);
  CHECK(group.values_offset == 2 * 16 * 16 * 4);
  CHECK(group.values.token == 16 * 4);
  CHECK(group.block_bytes == 2 * group.keys.layer);
  CHECK(e.executor->kv_memory(0).bytes == 64 * group.block_bytes);
  CHECK(reinterpret_cast<std::uintptr_t>(e.executor->kv_memory(0).data) % 4096 == 0);
  CHECK(e.executor->kv_memory(1).data == nullptr);
}

TEST_CASE("fingerprints differ by weights, layout and arithmetic, numerics by arithmetic alone") {
  const auto info = engine{}.executor->info();
  CHECK(engine{}.executor->info().fingerprint == info.fingerprint);
  const auto wider = engine{{.kv_blocks = 8, .block_tokens = 32}}.executor->info();
  CHECK(wider.fingerprint != info.fingerprint);
  CHECK(wider.numerics == info.numerics);
  // One bit of the last matrix.
  const auto other = engine{
    {.kv_blocks = 64}, [](test::tiny_llama::tensor& t) {
      if (t.name == "blk.1.ffn_down.weight")
        t.data.back() ^= std::byte{1};
    }}.executor->info();
  CHECK(other.fingerprint != info.fingerprint);
  CHECK(other.numerics == info.numerics);
  if (host::supported_simd_paths().size() > 1) {
    const auto portable = engine{{.kv_blocks = 64, .simd = host::simd_path::portable}}.executor->info();
    CHECK(portable.fingerprint != info.fingerprint);
    CHECK(portable.numerics != info.numerics);
  }
}

TEST_CASE("a step takes its input from the step in flight before it") {
  engine e;
  test::executor_driver driver{*e.executor};
  auto s = driver.start({1, 2, 3}, test::greedy());
  driver.generate(s, 4, 100);

  collector done{*e.executor};
  REQUIRE(e.executor->open({9}, test::greedy(), std::vector<token_id>{1, 2, 3}, 3) == errc::none);
  auto first = make_step(101, {1, 2, 3}, 0), second = make_step_from(102, {{101}, 0}, 3);
  first.rows[0].slot = second.rows[0].slot = {9};
  CHECK(e.executor->submit(std::move(first)) == errc::none);
  CHECK(e.executor->submit(std::move(second)) == errc::none);
  auto results = done.wait_for(2);
  CHECK(results[0].id.value == 101);
  CHECK(results[1].id.value == 102);
  CHECK(results[0].rows.at(0).token->token == s.output()[0]);
  CHECK(results[1].rows.at(0).token->token == s.output()[1]);
  CHECK(results[1].rows.at(0).logits_hash == s.hashes[1]);

  // A row that drew nothing, and a step too long ago.
  auto wrong_row = make_step_from(103, {{102}, 1}, 4), too_old = make_step_from(104, {{101}, 0}, 4);
  wrong_row.rows[0].slot = too_old.rows[0].slot = {9};
  CHECK(e.executor->submit(std::move(wrong_row)) == errc::none);
  done.wait_for(3);
  auto again = make_step(104, {7}, 4);
  again.rows[0].slot = {9};
  CHECK(e.executor->submit(std::move(again)) == errc::none);
  done.wait_for(4);
  too_old.id = {105};
  CHECK(e.executor->submit(std::move(too_old)) == errc::none);
  results = done.wait_for(5);
  CHECK(results[2].code == errc::invalid_step);
  CHECK(results[3].code == errc::none);
  CHECK(results[4].code == errc::invalid_step);
  CHECK(results[4].rows.empty());
}

TEST_CASE("steps beyond a bound are refused and complete nothing") {
  engine e{{.kv_blocks = 4, .slots_max = 2, .rows_max = 2, .tokens_max = 40}};
  collector done{*e.executor};
  REQUIRE(e.executor->open({0}, test::greedy(), {}, 0) == errc::none);
  const auto refused = [&](auto change) {
    auto s = make_step(1, {1, 2, 3}, 0);
    change(s);
    return e.executor->submit(std::move(s)) == errc::invalid_step;
  };
  CHECK(refused([](step& s) { s.rows.clear(); }));
  CHECK(refused([](step& s) { s.rows[0].slot = {2}; }));
  CHECK(refused([](step& s) { s.tokens[1] = 160; }));
  CHECK(refused([](step& s) { s.blocks[3] = 4; }));
  CHECK(refused([](step& s) { s.rows[0].tokens_count = 0; }));
  CHECK(refused([](step& s) { s.rows[0].tokens_count = 4; }));
  CHECK(refused([](step& s) { s.rows[0].tokens_begin = ~0u; }));
  CHECK(refused([](step& s) { s.rows[0].tables[0].begin = ~0u; }));
  CHECK(refused([](step& s) { s.rows[0].tables[0].count = 0; }));
  CHECK(refused([](step& s) { s.rows[0].position = 4 * 16 - 2; }));
  CHECK(refused([](step& s) { s.rows[0].position = ~0u - 1; }));
  CHECK(refused([](step& s) { s.rows[0].from = {{0}, 0}; }));
  CHECK(refused([](step& s) { s.rows.push_back(s.rows[0]); })); // a slot twice
  CHECK(refused([](step& s) { s.rows.assign(3, s.rows[0]); }));
  CHECK(refused([](step& s) {
    s.tokens.assign(41, 1);
    s.rows[0].tokens_count = 41;
  }));
  CHECK(refused([](step& s) { s.id = {}; }));
  CHECK_FALSE(refused([](step&) {}));
  CHECK(done.wait_for(1)[0].code == errc::none);
  CHECK(refused([](step&) {})); // the same id again

  CHECK(e.executor->open({2}, {}, {}, 0) == errc::invalid_step);
  CHECK(e.executor->open({0}, {}, std::vector<token_id>{160}, 1) == errc::invalid_step);
  CHECK(e.executor->open({0}, {}, std::vector<token_id>{1}, 2) == errc::invalid_step);
  CHECK(e.executor->open({0}, {}, std::vector<token_id>(2049, 1), 1) == errc::invalid_step);
  CHECK(e.executor->open({0}, {}, std::vector<token_id>(2048, 1), 1) == errc::none);
  // To close what cannot be open changes nothing.
  e.executor->close({2});
  e.executor->close({~0u});
  sampling_options bad;
  bad.top_p = 2;
  CHECK(e.executor->open({0}, bad, {}, 0) == errc::invalid_step);
}

TEST_CASE("slots are opened and closed in order with steps") {
  engine e;
  collector done{*e.executor};
  {
    const blocked_pool held{*e.pool};
    e.executor->open({0}, test::greedy(), {}, 0);
    CHECK(e.executor->submit(make_step(1, {1, 2, 3}, 0)) == errc::none);
    e.executor->close({0});
    CHECK(e.executor->submit(make_step(2, {1, 2, 3}, 0)) == errc::none);
    CHECK(e.executor->submit(make_step(3, {1}, 0)) == errc::full);
  }
  const auto results = done.wait_for(2);
  CHECK(results[0].code == errc::none);
  CHECK(results[1].code == errc::invalid_step);
  CHECK(results[1].context.find("slot 0 is not open") != std::string::npos);
}

TEST_CASE("logits are hashed only if that was asked for") {
  engine e{{.kv_blocks = 64}};
  collector done{*e.executor};
  e.executor->open({0}, test::greedy(), {}, 0);
  CHECK(e.executor->submit(make_step(1, {1, 2, 3}, 0)) == errc::none);
  const auto results = done.wait_for(1);
  CHECK(results[0].rows.at(0).token);
  CHECK(results[0].rows.at(0).logits_hash == 0);
  CHECK(results[0].computed.count() > 0);
}

TEST_CASE("KV memory outlives its executor as long as somebody holds the view") {
  engine e;
  collector done{*e.executor};
  e.executor->open({0}, test::greedy(), {}, 0);
  CHECK(e.executor->submit(make_step(1, {1, 2, 3}, 0)) == errc::none);
  done.wait_for(1);
  const auto view = e.executor->kv_memory(0);
  const std::vector<std::byte> before(view.data, view.data + 4096);
  REQUIRE(view.keep_alive);
  e.executor.reset();
  CHECK(std::equal(before.begin(), before.end(), view.data));
  CHECK(std::ranges::any_of(before, [](std::byte b) { return b != std::byte{0}; }));
}

TEST_CASE("rows that want nothing have no token") {
  engine e;
  collector done{*e.executor};
  e.executor->open({0}, test::greedy(), {}, 0);
  auto s = make_step(1, {1, 2, 3}, 0);
  s.rows[0].want = row_want::none;
  CHECK(e.executor->submit(std::move(s)) == errc::none);
  const auto results = done.wait_for(1);
  REQUIRE(results[0].rows.size() == 1);
  CHECK_FALSE(results[0].rows[0].token);
  CHECK(results[0].rows[0].logits_hash == 0);
}

TEST_CASE("steps in flight at the end complete with device_lost, once and in order") {
  engine e;
  std::vector<step_result> results;
  std::mutex mutex;
  e.executor->on_done([&](step_result r) {
    const std::lock_guard lock{mutex};
    results.push_back(std::move(r));
  });
  e.executor->open({0}, test::greedy(), {}, 0);
  {
    const blocked_pool held{*e.pool};
    e.executor->submit(make_step(1, {1, 2, 3}, 0));
    e.executor->submit(make_step(2, {4}, 3));
    e.executor.reset();
  }
  e.pool->run([] {});
  REQUIRE(results.size() == 2);
  for (std::uint64_t i = 0; i < 2; ++i) {
    CHECK(results[i].id.value == i + 1);
    CHECK(results[i].code == errc::device_lost);
  }
}

TEST_CASE("an executor that ends while it computes completes every step exactly once") {
  for (int i = 0; i < 30; ++i) {
    engine e;
    std::atomic<int> completed = 0;
    e.executor->on_done([&](step_result) { ++completed; });
    e.executor->open({0}, test::greedy(), {}, 0);
    int submitted = 0;
    for (std::uint64_t id = 1; id < 20; ++id)
      submitted += e.executor->submit(make_step(id, {1, 2, 3}, 0)) == errc::none;
    if (i % 2 == 0)
      std::this_thread::sleep_for(std::chrono::microseconds{i * 50});
    e.executor.reset();
    CHECK(completed == submitted);
  }
}

TEST_CASE("two executors share weights and pool") {
  engine e;
  auto other = host::make_host_executor(e.weights, e.pool, {.kv_blocks = 64, .hash_logits = true});
  REQUIRE(other);
  test::executor_driver a{*e.executor}, b{**other};
  auto s = a.start({4, 5, 6}, test::greedy()), t = b.start({4, 5, 6}, test::greedy());
  for (int i = 0; i < 5; ++i) {
    a.generate(s, i + 1, 100);
    b.generate(t, i + 1, 100);
  }
  CHECK(s.hashes == t.hashes);
}

TEST_CASE("options that cannot be are refused by name") {
  engine e;
  const auto refused = [&](host::host_executor_options options) {
    auto made = host::make_host_executor(e.weights, e.pool, options);
    return made ? std::string{} : made.error().context;
  };
  CHECK(refused({.kv_blocks = 0}).find("KV blocks") != std::string::npos);
  CHECK(refused({.kv_blocks = 1, .block_tokens = 0}).find("block") != std::string::npos);
  CHECK(refused({.kv_blocks = 1, .block_tokens = 65536}).find("at most 65535") != std::string::npos);
  CHECK(refused({.kv_blocks = 1, .steps_in_flight_max = 1}).find("steps_in_flight_max") != std::string::npos);
  CHECK(refused({.kv_blocks = 1, .rows_max = 0}).find("rows_max") != std::string::npos);
  CHECK(refused({.kv_blocks = ~0u, .block_tokens = 65535}).find("map") != std::string::npos);
}
