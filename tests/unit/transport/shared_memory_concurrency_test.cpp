// SPDX-License-Identifier: Apache-2.0
// Order, cancellation, fences and shutdown: what must hold whichever thread is ahead.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "tests/support/shared_memory_fixture.hpp"

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

constexpr std::size_t block_bytes = 16 * 1024;

std::span<const std::byte> note_of(const std::uint32_t& index) { return std::as_bytes(std::span{&index, 1}); }

std::uint32_t index_of(const arrival& a) {
  std::uint32_t result = 0;
  std::copy_n(a.note.begin(), sizeof result, reinterpret_cast<std::byte*>(&result));
  return result;
}

expected<ticket, error> write_block(shared_endpoint& from, remote_region to, std::uint32_t block,
                                    steady_time deadline = soon()) {
  run where{block * block_bytes, block_bytes};
  return from.write(to, where, where, note_of(block), deadline);
}

bool all_are(std::span<const std::byte> memory, std::byte value) {
  return std::all_of(memory.begin(), memory.end(), [&](std::byte b) { return b == value; });
}

} // namespace

TEST_CASE("shared memory: an arrival comes after its bytes, for every one of 2,000 blocks") {
  constexpr std::uint32_t blocks = 50;
  shared_endpoint here{blocks * block_bytes};
  shared_endpoint there{blocks * block_bytes};
  auto target = there.open_to(here);
  for (unsigned round = 1; round <= 40; ++round) {
    auto value = static_cast<std::byte>(round);
    std::fill(here.memory.begin(), here.memory.end(), value);
    for (std::uint32_t b = 0; b < blocks; ++b)
      REQUIRE(write_block(here, target, b));
    auto arrived = await_news(*there.bytes, 0, blocks).arrivals;
    REQUIRE(arrived.size() == blocks);
    for (std::uint32_t b = 0; b < blocks; ++b) {
      REQUIRE(index_of(arrived[b]) == b); // in order of posting
      REQUIRE(all_are(there.memory.subspan(b * block_bytes, block_bytes), value));
    }
    REQUIRE(await_news(*here.bytes, blocks, 0).completions.size() == blocks);
  }
}

TEST_CASE("shared memory: a fence ends after everything that the peer posted before it, and nothing lands later") {
  constexpr std::uint32_t blocks = 64;
  shared_endpoint writer{blocks * block_bytes};
  shared_endpoint owner{blocks * block_bytes};
  auto target = owner.open_to(writer);
  std::mt19937_64 random{11};
  for (unsigned round = 1; round <= 30; ++round) {
    std::fill(writer.memory.begin(), writer.memory.end(), static_cast<std::byte>(round));
    std::vector<ticket> posted;
    for (std::uint32_t b = 0; b < blocks; ++b)
      posted.push_back(*write_block(writer, target, b));
    for (auto what : posted)
      if (random() % 3 == 0)
        writer.bytes->cancel(what);
    auto fence = owner.bytes->fence(writer.bytes->self());
    REQUIRE(fence);
    auto fenced = await_news(*owner.bytes, 1, 0);
    REQUIRE(fenced.completions.size() == 1);
    CHECK(fenced.completions[0].what == *fence);
    CHECK(fenced.completions[0].result == errc::none);
    // The memory belongs to the owner now: what it writes there stays.
    std::fill(owner.memory.begin(), owner.memory.end(), std::byte{0xee});
    auto ended = await_news(*writer.bytes, blocks, 0);
    REQUIRE(ended.completions.size() == blocks);
    auto landed = static_cast<std::size_t>(std::count_if(ended.completions.begin(), ended.completions.end(),
                                                         [](auto& c) { return c.result == errc::none; }));
    CHECK(all_are(owner.memory, std::byte{0xee}));
    // Arrivals are those that landed, no more.
    auto arrivals = fenced.arrivals.size();
    arrivals += await_news(*owner.bytes, 0, landed - arrivals).arrivals.size();
    CHECK(arrivals == landed);
  }
}

TEST_CASE("shared memory: a fence about a peer that is unknown or gone ends at once, and one about oneself in order") {
  shared_endpoint here{block_bytes};
  auto ended = [&](expected<ticket, error> what) {
    REQUIRE(what);
    auto last = await_end(*here.bytes);
    CHECK(last.what == *what);
    return last.result;
  };
  CHECK(ended(here.bytes->fence(random_peer())) == errc::none);
  CHECK(ended(here.bytes->fence(here.bytes->self())) == errc::none);
  peer_id gone;
  {
    shared_endpoint other{block_bytes};
    gone = other.bytes->self();
    REQUIRE(write_block(other, here.open_to(other), 0));
    CHECK(await_news(*other.bytes, 1, 0).completions.size() == 1);
    CHECK(await_news(*here.bytes, 0, 1).arrivals.size() == 1);
    CHECK(ended(here.bytes->fence(gone)) == errc::none);
  }
  CHECK(ended(here.bytes->fence(gone)) == errc::none);
  auto itself = here.open_to(here);
  std::vector<ticket> posted;
  for (int i = 0; i < 8; ++i)
    posted.push_back(*write_block(here, itself, 0));
  posted.push_back(*here.bytes->fence(here.bytes->self()));
  auto all = await_news(*here.bytes, 9, 8);
  CHECK(all.arrivals.size() == 8);
  CHECK(std::equal(posted.begin(), posted.end(), all.completions.begin(), all.completions.end(),
                   [](auto& what, auto& c) { return what == c.what && c.result == errc::none; }));
}

TEST_CASE("shared memory: every accepted operation completes exactly once, among cancels, expiry and several threads") {
  constexpr std::uint32_t blocks = 16;
  shared_memory_config config{.transfers_max = 32};
  shared_endpoint here{blocks * block_bytes, config};
  shared_endpoint there{blocks * block_bytes, config};
  auto target = there.open_to(here);
  std::array<std::vector<ticket>, 3> accepted;
  std::atomic<int> running = 3;
  std::vector<std::thread> posters;
  for (std::size_t t = 0; t < accepted.size(); ++t)
    posters.emplace_back([&, t] {
      std::mt19937_64 random{t};
      for (int i = 0; i < 300; ++i) {
        auto block = static_cast<std::uint32_t>(t + 3 * (random() % 5)); // each thread has its own blocks
        auto deadline = random() % 5 == 0 ? long_ago() : soon();
        auto is_fence = random() % 8 == 0;
        auto post = [&] {
          return is_fence ? here.bytes->fence(there.bytes->self()) : write_block(here, target, block, deadline);
        };
        auto what = post();
        for (; !what; what = post()) { // the main thread polls, so credit comes back
          if (what.error().code != errc::no_credit)
            std::abort();
          std::this_thread::yield();
        }
        accepted[t].push_back(*what);
        if (random() % 4 == 0)
          here.bytes->cancel(accepted[t][random() % accepted[t].size()]);
      }
      --running;
    });
  std::map<ticket, int> completed;
  std::map<errc, int> results;
  std::size_t arrivals = 0;
  auto drain = [&] {
    std::array<completion, 8> ended;
    std::array<arrival, 8> arrived;
    auto count = here.bytes->poll(ended, {}).completions;
    for (std::size_t i = 0; i < count; ++i) {
      ++completed[ended[i].what];
      ++results[ended[i].result];
    }
    arrivals += there.bytes->poll({}, arrived).arrivals;
  };
  while (running > 0)
    drain();
  for (auto& p : posters)
    p.join();
  std::size_t total = 0;
  for (auto& tickets : accepted)
    total += tickets.size();
  auto patience = soon();
  while (std::chrono::steady_clock::now() < patience
         && (completed.size() < total || arrivals < static_cast<std::size_t>(results[errc::none] - 300)))
    drain();
  CHECK(total == 3 * 300);
  CHECK(completed.size() == total);
  CHECK(std::all_of(completed.begin(), completed.end(), [](auto& c) { return c.second == 1; }));
  CHECK(results[errc::timed_out] > 0);
  CHECK(results[errc::none] > 0);
  CHECK(arrivals <= static_cast<std::size_t>(results[errc::none]));
  CHECK_FALSE(is_readable(*here.bytes));
}

TEST_CASE("shared memory: cancelling what is queued or running ends it once, with cancelled or whole") {
  constexpr std::size_t size = 64 << 20;
  shared_endpoint here{size};
  shared_endpoint there{size};
  auto target = there.open_to(here);
  for (auto moment : {0, 1}) {
    auto first = *here.write(target, {0, size}, {0, size});
    auto second = *here.write(target, {0, size}, {0, size});
    while (moment == 1 && here.bytes->bytes_moved() == 0 && !is_readable(*here.bytes))
      std::this_thread::yield();
    here.bytes->cancel(second);
    here.bytes->cancel(first);
    here.bytes->cancel(first);
    here.bytes->cancel(ticket{});
    here.bytes->cancel(ticket{1'000'000});
    auto all = await_news(*here.bytes, 2, 0);
    REQUIRE(all.completions.size() == 2);
    for (auto& c : all.completions) {
      auto complete = c.result == errc::none && c.bytes == size;
      auto cut = c.result == errc::cancelled && c.bytes < size;
      CHECK((complete || cut));
    }
    here.bytes->cancel(first); // long over
    CHECK_FALSE(is_readable(*here.bytes));
  }
}

TEST_CASE("shared memory: closing completes everything, and what has ended can still be polled") {
  constexpr std::uint32_t blocks = 64;
  for (auto connected : {0, 1}) {
    shared_endpoint here{blocks * block_bytes};
    shared_endpoint there{blocks * block_bytes};
    auto target = there.open_to(here);
    if (connected == 1) {
      REQUIRE(write_block(here, target, 0));
      CHECK(await_end(*here.bytes).result == errc::none);
    }
    std::set<ticket> open;
    for (std::uint32_t b = 0; b < blocks; ++b)
      open.insert(*write_block(here, target, b));
    open.insert(*here.bytes->fence(there.bytes->self()));
    auto fence = *there.bytes->fence(here.bytes->self());
    here.bytes->close();
    here.bytes->close();
    auto fenced = await_end(*there.bytes);
    CHECK(fenced.what == fence);
    CHECK(fenced.result == errc::none);
    auto all = await_news(*here.bytes, blocks + 1, 0);
    for (auto& c : all.completions) {
      CHECK(open.erase(c.what) == 1);
      CHECK((c.result == errc::none || c.result == errc::closed || c.result == errc::revoked));
    }
    CHECK(open.empty());
    CHECK(write_block(here, target, 0).error().code == errc::closed);
    CHECK(here.bytes->fence(there.bytes->self()).error().code == errc::closed);
    CHECK(here.bytes->add_region(here.file.view()).error().code == errc::closed);
  }
}

TEST_CASE("shared memory: removing the source in the middle of a copy waits for it, and later writes end") {
  constexpr std::size_t size = 32 << 20;
  constexpr std::size_t writes = 6;
  shared_endpoint here{size};
  shared_endpoint there{size};
  auto target = there.open_to(here);
  for (std::size_t i = 0; i < writes; ++i)
    REQUIRE(here.write(target, {0, size}, {0, size}));
  auto ended = await_news(*here.bytes, 1, 0).completions; // so the second, of milliseconds, has begun
  here.bytes->remove_region(here.region);
  std::fill(here.memory.begin(), here.memory.end(), std::byte{0xee}); // a copy that still ran would take it along
  auto rest = await_news(*here.bytes, writes - ended.size(), 0).completions;
  CHECK(there.memory[size - 1] == std::byte{0});
  ended.insert(ended.end(), rest.begin(), rest.end());
  REQUIRE(ended.size() == writes);
  for (auto& c : ended)
    CHECK(((c.result == errc::none && c.bytes == size) || (c.result == errc::unknown_region && c.bytes == 0)));
}

TEST_CASE("shared memory: a target that is removed, or whose owner ends, ends what was posted to it") {
  constexpr std::size_t size = 32 << 20;
  constexpr std::size_t writes = 6;
  for (auto expected_result : {errc::unknown_region, errc::peer_gone}) {
    shared_endpoint here{size};
    shared_endpoint there{size};
    auto target = there.open_to(here);
    for (std::size_t i = 0; i < writes; ++i)
      REQUIRE(here.write(target, {0, size}, {0, size}));
    auto ended = await_news(*here.bytes, 1, 0).completions;
    if (expected_result == errc::unknown_region)
      there.bytes->remove_region(there.region);
    else
      there.bytes.reset();
    auto rest = await_news(*here.bytes, writes - ended.size(), 0).completions;
    ended.insert(ended.end(), rest.begin(), rest.end());
    REQUIRE(ended.size() == writes);
    for (auto& c : ended)
      CHECK(((c.result == errc::none && c.bytes == size) || c.result == expected_result));
  }
}
