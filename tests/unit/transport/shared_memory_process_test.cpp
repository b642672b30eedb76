// SPDX-License-Identifier: Apache-2.0
// Writers in processes of their own, which are stopped and killed in the middle of a copy.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <thread>

#include "tests/support/shared_memory_fixture.hpp"
#include "tests/support/writer_process.hpp"

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t block_bytes = std::size_t{64} << 20;

// Five times the aim of 200 ms, since other tests run beside this one.
#ifdef __SANITIZE_THREAD__
constexpr auto death_patience = 5s; // the shadow of the memory is some times as large, and dies first
#else
constexpr auto death_patience = 1s;
#endif

void begin(writer_process& writer, shared_endpoint& owner) {
  writer.begin(owner.bytes->self(), *owner.bytes->describe(owner.region, writer.self()), owner.memory.size());
}

bool ends_within(const shared_endpoint& owner, std::chrono::milliseconds time) {
  pollfd look{owner.bytes->wake_fd(), POLLIN, 0};
  return ::poll(&look, 1, static_cast<int>(time.count())) == 1;
}

// Overwrites the memory and sees whether that stays for longer than a copy takes.
bool stays_ours(const shared_endpoint& owner) {
  std::fill(owner.memory.begin(), owner.memory.end(), std::byte{0xee});
  std::this_thread::sleep_for(100ms);
  return std::all_of(owner.memory.begin(), owner.memory.end(), [](std::byte b) { return b == std::byte{0xee}; });
}

} // namespace

TEST_CASE("shared memory: a stopped writer holds a fence open, and when it has gone on nothing of it lands") {
  for (int round = 0; round < 5; ++round) {
    CAPTURE(round);
    shared_endpoint owner{block_bytes};
    writer_process writer;
    begin(writer, owner);
    writer.stop_in_the_middle_of_a_copy(owner.memory.front(), owner.memory.back());
    owner.bytes->forget(writer.self()); // at once, though it cannot hear
    auto fence = *owner.bytes->fence(writer.self());
    CHECK_FALSE(ends_within(owner, 300ms));
    writer.send(SIGCONT);
    auto end = await_end(*owner.bytes);
    CHECK(end.what == fence);
    CHECK(end.result == errc::none);
    CHECK(stays_ours(owner));
    CHECK(writer.refusal() == "revoked");
    // It is let go again for the next one.
    REQUIRE(owner.bytes->fence(writer.self()));
    CHECK(await_end(*owner.bytes).result == errc::none);
  }
}

TEST_CASE("shared memory: a fence about a writer that is killed in the middle of a copy ends soon") {
  for (int round = 0; round < 5; ++round) {
    CAPTURE(round);
    shared_endpoint owner{block_bytes};
    writer_process writer;
    begin(writer, owner);
    writer.stop_in_the_middle_of_a_copy(owner.memory.front(), owner.memory.back());
    REQUIRE(owner.bytes->fence(writer.self()));
    CHECK_FALSE(ends_within(owner, 20ms));
    writer.send(SIGKILL);
    CHECK(ends_within(owner, death_patience));
    CHECK(await_end(*owner.bytes).result == errc::none);
    CHECK(stays_ours(owner));
    REQUIRE(owner.bytes->fence(writer.self()));
    CHECK(ends_within(owner, death_patience));
  }
}

TEST_CASE("shared memory: a region can be removed under a stopped writer, whose bytes then reach nobody") {
  shared_endpoint owner{block_bytes};
  writer_process writer;
  begin(writer, owner);
  writer.stop_in_the_middle_of_a_copy(owner.memory.front(), owner.memory.back());
  auto begin = std::chrono::steady_clock::now();
  owner.bytes->remove_region(owner.region);
  CHECK(std::chrono::steady_clock::now() - begin < 1s); // it waits for nobody
  writer.send(SIGCONT);
  CHECK(writer.refusal() == "unknown_region");
  REQUIRE(owner.bytes->fence(writer.self()));
  CHECK(await_end(*owner.bytes).result == errc::none);
  CHECK(stays_ours(owner));
}
