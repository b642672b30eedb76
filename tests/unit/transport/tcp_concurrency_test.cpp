// SPDX-License-Identifier: Apache-2.0
// Order, cancellation, removal and shutdown: what must hold whichever thread is ahead.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "tests/support/tcp_fixture.hpp"

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

expected<ticket, error> write_block(tcp_endpoint& from, remote_region to, std::uint32_t block) {
  run where{block * block_bytes, block_bytes};
  return from.bytes->write(from.region, std::span{&where, 1}, to, std::span{&where, 1}, note_of(block), soon());
}

bool holds(const std::vector<std::byte>& memory, std::uint32_t block, std::byte value) {
  auto begin = memory.begin() + static_cast<std::ptrdiff_t>(block * block_bytes);
  return std::all_of(begin, begin + block_bytes, [&](std::byte b) { return b == value; });
}

} // namespace

TEST_CASE("tcp: an arrival comes after its bytes, for every one of 2,000 blocks") {
  constexpr std::uint32_t blocks = 50;
  tcp_pair p{blocks * block_bytes};
  for (unsigned round = 1; round <= 40; ++round) {
    auto value = static_cast<std::byte>(round);
    std::fill(p.here.memory.begin(), p.here.memory.end(), value);
    for (std::uint32_t b = 0; b < blocks; ++b)
      REQUIRE(write_block(p.here, p.target, b));
    std::array<arrival, 4> arrived;
    std::uint32_t seen = 0;
    auto patience = soon();
    while (seen < blocks && std::chrono::steady_clock::now() < patience) {
      auto count = p.there.bytes->poll({}, arrived).arrivals;
      for (std::size_t i = 0; i < count; ++i, ++seen) {
        REQUIRE(index_of(arrived[i]) == seen); // in order of posting
        REQUIRE(holds(p.there.memory, seen, value));
      }
    }
    REQUIRE(await_news(*p.here.bytes, blocks, 0).completions.size() == blocks);
  }
}

TEST_CASE("tcp: every accepted operation completes exactly once, among cancels, expiry and several threads") {
  constexpr std::uint32_t blocks = 16;
  tcp_pair p{blocks * block_bytes, {.transfers_max = 32}};
  auto& here = p.here;
  auto& there = p.there;
  auto target = p.target;
  std::array<std::vector<ticket>, 3> accepted;
  std::atomic<int> running = 3;
  std::vector<std::thread> posters;
  for (std::size_t t = 0; t < accepted.size(); ++t)
    posters.emplace_back([&, t] {
      std::mt19937_64 random{t};
      for (int i = 0; i < 300; ++i) {
        auto block = static_cast<std::uint32_t>(t + 3 * (random() % 5)); // each thread has its own blocks
        run where{block * block_bytes, block_bytes};
        auto deadline = random() % 5 == 0 ? long_ago() : soon();
        auto is_fence = random() % 8 == 0;
        auto post = [&] {
          return is_fence ? here.bytes->fence(there.bytes->self())
                          : here.bytes->write(here.region, std::span{&where, 1}, target, std::span{&where, 1},
                                              note_of(block), deadline);
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
    auto count = here.bytes->poll(ended, {});
    for (std::size_t i = 0; i < count.completions; ++i) {
      ++completed[ended[i].what];
      ++results[ended[i].result];
    }
    arrivals += there.bytes->poll({}, arrived).arrivals;
  };
  while (running > 0)
    drain();
  for (auto& t : posters)
    t.join();
  auto patience = soon();
  while (completed.size() < 3 * 300 && std::chrono::steady_clock::now() < patience)
    drain();
  drain();
  CHECK(completed.size() == 3 * 300);
  CHECK(std::all_of(completed.begin(), completed.end(), [](auto& c) { return c.second == 1; }));
  CHECK(results[errc::timed_out] > 0);
  CHECK(results[errc::none] > 0);
  CHECK(results[errc::peer_gone] == 0);
  CHECK(arrivals <= static_cast<std::size_t>(results[errc::none]));
}

TEST_CASE("tcp: a write that waits for its connection can be cancelled, and one that has ended cannot") {
  tcp_endpoint here{64, {.hello_time_max = std::chrono::milliseconds{60'000}}};
  auto listening = listen_on({0x7f000001, 0}); // takes connections and never greets
  auto owner = next_peer();
  auto target = *here.bytes->import(owner, to_text(tcp_description{owner, {0x7f000001, listening->second}, {1}, {}}));
  auto what = here.write({0, 8}, target, {0, 8});
  REQUIRE(what);
  here.bytes->cancel(ticket{});
  here.bytes->cancel(*what);
  here.bytes->cancel(*what);
  auto all = await_news(*here.bytes, 1, 0);
  REQUIRE(all.completions.size() == 1);
  CHECK(all.completions[0].what == *what);
  CHECK(all.completions[0].result == errc::cancelled);
  here.bytes->cancel(*what);
  CHECK_FALSE(is_readable(*here.bytes));
  // So does one whose deadline passes, or whose owner is forgotten.
  REQUIRE(here.write({0, 8}, target, {0, 8}, {}, std::chrono::steady_clock::now() + std::chrono::milliseconds{50}));
  CHECK(await_news(*here.bytes, 1, 0).completions.at(0).result == errc::timed_out);
  REQUIRE(here.write({0, 8}, target, {0, 8}));
  here.bytes->forget(owner);
  CHECK(await_news(*here.bytes, 1, 0).completions.at(0).result == errc::peer_gone);
}

TEST_CASE("tcp: closing ends every operation, and completions can still be polled") {
  constexpr std::uint32_t blocks = 64;
  tcp_pair p{blocks * block_bytes};
  std::set<ticket> open;
  for (std::uint32_t b = 0; b < blocks; ++b)
    open.insert(*write_block(p.here, p.target, b));
  open.insert(*p.here.bytes->fence(p.there.bytes->self()));
  auto fence = *p.there.bytes->fence(p.here.bytes->self());
  p.here.bytes->close();
  p.here.bytes->close();
  auto fenced = await_news(*p.there.bytes, 1, 0);
  CHECK(fenced.completions.at(0).what == fence);
  CHECK(fenced.completions.at(0).result == errc::none);
  auto all = await_news(*p.here.bytes, blocks + 1, 0);
  for (auto& c : all.completions) {
    CHECK(open.erase(c.what) == 1);
    CHECK((c.result == errc::none || c.result == errc::closed));
  }
  CHECK(open.empty());
  CHECK(write_block(p.here, p.target, 0).error().code == errc::closed);
  CHECK(p.here.bytes->fence(p.there.bytes->self()).error().code == errc::closed);
  CHECK(p.here.bytes->add_region({p.here.memory.data(), 1}).error().code == errc::closed);
}

namespace {

enum class ending { remove_target, end_of_target, remove_source };

// Ends one side in the middle of a long write, then says whether its memory was left alone and how the writes ended.
void end_while_writing(ending how, errc expected_result) {
  constexpr std::size_t size = 32 << 20;
  constexpr std::size_t writes = 6;
  tcp_pair p{size};
  for (std::size_t i = 0; i < writes; ++i)
    REQUIRE(p.write({0, size}, {0, size}));
  auto ended = await_news(*p.here.bytes, 1, 0).completions; // so the second, of milliseconds, has begun
  switch (how) {
    case ending::remove_target: p.there.bytes->remove_region(p.there.region); break;
    case ending::end_of_target: p.there.bytes.reset(); break;
    case ending::remove_source: p.here.bytes->remove_region(p.here.region); break;
  }
  // A write that still ran would reach the last byte after this. (TSan and ASan see it, too.)
  if (how == ending::remove_source)
    p.here.memory = {};
  else
    p.there.memory.back() = std::byte{0xee};
  auto rest = await_news(*p.here.bytes, writes - ended.size(), 0).completions;
  if (how != ending::remove_source)
    CHECK(p.there.memory.back() == std::byte{0xee});
  ended.insert(ended.end(), rest.begin(), rest.end());
  REQUIRE(ended.size() == writes);
  for (auto& c : ended) {
    auto whole = c.result == errc::none && c.bytes == size;
    CHECK((whole || (c.result == expected_result && c.bytes == 0)));
  }
  CHECK(ended.back().result == expected_result);
}

} // namespace

TEST_CASE("tcp: removing a target in the middle of a write leaves its memory alone, and nothing lands later") {
  for (int round = 0; round < 3; ++round)
    end_while_writing(ending::remove_target, errc::unknown_region);
}

TEST_CASE("tcp: a target that ends in the middle of a write leaves its memory alone") {
  for (int round = 0; round < 3; ++round)
    end_while_writing(ending::end_of_target, errc::peer_gone);
}

TEST_CASE("tcp: removing a source in the middle of a write leaves its memory alone, and the connection goes on") {
  for (int round = 0; round < 3; ++round)
    end_while_writing(ending::remove_source, errc::unknown_region);
}
