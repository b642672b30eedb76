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

#include "tests/support/transport_fixture.hpp"
#include "transport/memory/memory_backend.hpp"

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

expected<ticket, error> write_block(endpoint& from, remote_region to, std::uint32_t block) {
  run where{block * block_bytes, block_bytes};
  return from.bytes->write(from.region, std::span{&where, 1}, to, std::span{&where, 1}, note_of(block), soon());
}

bool holds(const std::vector<std::byte>& memory, std::uint32_t block, std::byte value) {
  auto begin = memory.begin() + static_cast<std::ptrdiff_t>(block * block_bytes);
  return std::all_of(begin, begin + block_bytes, [&](std::byte b) { return b == value; });
}

} // namespace

TEST_CASE("an arrival comes after its bytes, for every one of 2,000 blocks") {
  constexpr std::uint32_t blocks = 50;
  auto fabric = std::make_shared<memory_fabric>();
  endpoint here{fabric, blocks * block_bytes};
  endpoint there{fabric, blocks * block_bytes};
  auto target = there.open_to(here);
  for (unsigned round = 1; round <= 40; ++round) {
    auto value = static_cast<std::byte>(round);
    std::fill(here.memory.begin(), here.memory.end(), value);
    for (std::uint32_t b = 0; b < blocks; ++b)
      REQUIRE(write_block(here, target, b));
    std::array<arrival, 4> arrived;
    std::uint32_t seen = 0;
    while (seen < blocks) {
      auto count = there.bytes->poll({}, arrived).arrivals;
      for (std::size_t i = 0; i < count; ++i, ++seen) {
        REQUIRE(index_of(arrived[i]) == seen); // in order of posting
        REQUIRE(holds(there.memory, seen, value));
      }
    }
    REQUIRE(await_news(*here.bytes, blocks, 0).completions.size() == blocks);
  }
}

TEST_CASE("a fence ends after everything that the peer posted before it, and nothing lands later") {
  constexpr std::uint32_t blocks = 64;
  auto fabric = std::make_shared<memory_fabric>();
  endpoint writer{fabric, blocks * block_bytes};
  endpoint owner{fabric, blocks * block_bytes};
  auto target = owner.open_to(writer);
  std::mt19937_64 random{11};
  for (unsigned round = 1; round <= 30; ++round) {
    auto value = static_cast<std::byte>(round);
    std::fill(writer.memory.begin(), writer.memory.end(), value);
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
    // The memory belongs to the owner now: what it writes there stays. (TSan sees a late copy, too.)
    std::fill(owner.memory.begin(), owner.memory.end(), std::byte{0xee});
    auto ended = await_news(*writer.bytes, blocks, 0);
    REQUIRE(ended.completions.size() == blocks);
    auto landed =
      std::count_if(ended.completions.begin(), ended.completions.end(), [](auto& c) { return c.result == errc::none; });
    CHECK(std::all_of(owner.memory.begin(), owner.memory.end(), [](std::byte b) { return b == std::byte{0xee}; }));
    // Arrivals are those that landed, no more.
    auto arrivals = fenced.arrivals.size();
    arrivals += await_news(*owner.bytes, 0, static_cast<std::size_t>(landed) - arrivals).arrivals.size();
    CHECK(arrivals == static_cast<std::size_t>(landed));
  }
}

TEST_CASE("a fence can be cancelled, and one about a peer that is gone or unknown ends at once") {
  auto fabric = std::make_shared<memory_fabric>();
  endpoint here{fabric, 64};
  auto ended = [&](expected<ticket, error> what) {
    REQUIRE(what);
    auto all = await_news(*here.bytes, 1, 0);
    REQUIRE(all.completions.size() == 1);
    CHECK(all.completions[0].what == *what);
    return all.completions[0].result;
  };
  CHECK(ended(here.bytes->fence(peer_id{77})) == errc::none);
  peer_id gone;
  {
    endpoint other{fabric, 64};
    gone = other.bytes->self();
    CHECK(ended(here.bytes->fence(gone)) == errc::none);
    auto cancelled = here.bytes->fence(gone);
    here.bytes->cancel(*cancelled);
    auto result = ended(cancelled);
    CHECK((result == errc::none || result == errc::cancelled));
  }
  CHECK(ended(here.bytes->fence(gone)) == errc::none);
}

TEST_CASE("every accepted operation completes exactly once, among cancels, expiry and several threads") {
  constexpr std::uint32_t blocks = 16;
  auto fabric = std::make_shared<memory_fabric>();
  memory_config config{.transfers_max = 32};
  endpoint here{fabric, blocks * block_bytes, config};
  endpoint there{fabric, blocks * block_bytes, config};
  auto target = there.open_to(here);
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
    return count.completions;
  };
  while (running > 0)
    drain();
  for (auto& p : posters)
    p.join();
  std::size_t total = 0;
  for (auto& tickets : accepted)
    total += tickets.size();
  // No single fence tells that all is over: the fences about the peer end in the peer's thread.
  for (auto until = soon(); completed.size() < total && std::chrono::steady_clock::now() < until;)
    drain();
  CHECK(drain() == 0);
  CHECK(completed.size() == total);
  CHECK(std::all_of(completed.begin(), completed.end(), [](auto& c) { return c.second == 1; }));
  CHECK(results[errc::timed_out] > 0);
  CHECK(results[errc::none] > 0);
  CHECK(total == 3 * 300);
  CHECK(arrivals <= static_cast<std::size_t>(results[errc::none]));
}

TEST_CASE("cancelling what is queued or running ends it once, with cancelled or whole") {
  constexpr std::size_t size = 64 << 20;
  auto fabric = std::make_shared<memory_fabric>();
  endpoint here{fabric, size};
  endpoint there{fabric, size};
  auto target = there.open_to(here);
  run whole{0, size};
  auto first = *here.bytes->write(here.region, std::span{&whole, 1}, target, std::span{&whole, 1}, {}, soon());
  auto second = *here.bytes->write(here.region, std::span{&whole, 1}, target, std::span{&whole, 1}, {}, soon());
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

TEST_CASE("closing completes everything, and what has ended can still be polled") {
  constexpr std::uint32_t blocks = 64;
  auto fabric = std::make_shared<memory_fabric>();
  endpoint here{fabric, blocks * block_bytes};
  endpoint there{fabric, blocks * block_bytes};
  auto target = there.open_to(here);
  std::set<ticket> open;
  for (std::uint32_t b = 0; b < blocks; ++b)
    open.insert(*write_block(here, target, b));
  open.insert(*here.bytes->fence(there.bytes->self()));
  auto fence = *there.bytes->fence(here.bytes->self());
  auto to_here = *here.bytes->describe(here.region, there.bytes->self());
  here.bytes->close();
  here.bytes->close();
  auto fenced = await_news(*there.bytes, 1, 0);
  CHECK(fenced.completions.at(0).what == fence);
  CHECK(fenced.completions.at(0).result == errc::none);
  auto all = await_news(*here.bytes, blocks + 1, 0);
  for (auto& c : all.completions) {
    CHECK(open.erase(c.what) == 1);
    CHECK((c.result == errc::none || c.result == errc::closed));
  }
  CHECK(open.empty());
  CHECK(write_block(here, target, 0).error().code == errc::closed);
  CHECK(here.bytes->fence(there.bytes->self()).error().code == errc::closed);
  CHECK(here.bytes->add_region({here.memory.data(), 1}).error().code == errc::closed);
  // Nothing of it reaches the others any more, nor they it.
  CHECK(there.bytes->import(here.bytes->self(), to_here).error().code == errc::peer_gone);
}

TEST_CASE("closing ends a fence that waits behind a busy peer") {
  constexpr std::size_t size = 64 << 20;
  auto fabric = std::make_shared<memory_fabric>();
  endpoint here{fabric, 64};
  endpoint busy{fabric, size};
  auto itself = busy.open_to(busy);
  run whole{0, size};
  for (int i = 0; i < 4; ++i)
    REQUIRE(busy.bytes->write(busy.region, std::span{&whole, 1}, itself, std::span{&whole, 1}, {}, soon()));
  auto fence = *here.bytes->fence(busy.bytes->self());
  here.bytes->close();
  std::array<completion, 2> ended;
  REQUIRE(here.bytes->poll(ended, {}).completions == 1);
  CHECK(ended[0].what == fence);
  CHECK((ended[0].result == errc::closed || ended[0].result == errc::none));
}

namespace {

enum class ending { remove_region, end_of_target };

// Ends the target in the middle of a long copy into it, then says whether its memory was left alone and
// how the writes ended.
void end_while_copying(ending how, errc expected_result) {
  constexpr std::size_t size = 32 << 20;
  constexpr std::size_t writes = 6;
  auto fabric = std::make_shared<memory_fabric>();
  endpoint here{fabric, size};
  endpoint there{fabric, size};
  auto target = there.open_to(here);
  run whole{0, size};
  for (std::size_t i = 0; i < writes; ++i)
    REQUIRE(here.bytes->write(here.region, std::span{&whole, 1}, target, std::span{&whole, 1}, {}, soon()));
  auto ended = await_news(*here.bytes, 1, 0).completions; // so the second, of milliseconds, has begun
  if (how == ending::remove_region)
    there.bytes->remove_region(there.region);
  else
    there.bytes.reset();
  // A copy that still ran would reach the last byte after this.
  there.memory.back() = std::byte{0xee};
  auto rest = await_news(*here.bytes, writes - ended.size(), 0).completions;
  CHECK(there.memory.back() == std::byte{0xee});
  ended.insert(ended.end(), rest.begin(), rest.end());
  REQUIRE(ended.size() == writes);
  for (auto& c : ended) {
    auto whole_copy = c.result == errc::none && c.bytes == size;
    CHECK((whole_copy || (c.result == expected_result && c.bytes == 0)));
  }
}

} // namespace

TEST_CASE("removing a region in the middle of a copy waits for it, and nothing lands later") {
  for (int round = 0; round < 5; ++round)
    end_while_copying(ending::remove_region, errc::unknown_region);
}

TEST_CASE("a target that ends in the middle of a copy waits for it, and nothing lands later") {
  for (int round = 0; round < 5; ++round)
    end_while_copying(ending::end_of_target, errc::peer_gone);
}
