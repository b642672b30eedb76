// SPDX-License-Identifier: Apache-2.0
// Writers in processes of their own, which are stopped and killed in the middle of a copy.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <string>
#include <thread>

#include "tests/support/shared_memory_fixture.hpp"

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

// A process that writes into all of the owner's memory, again and again, until it is refused.
class writer_process {
public:
  explicit writer_process(shared_endpoint& owner) {
    auto text = *owner.bytes->describe(owner.region, self_);
    std::array<std::string, 5> words{TROUPE_SHARED_MEMORY_WRITER, std::to_string(self_.value),
                                     std::to_string(owner.bytes->self().value), text,
                                     std::to_string(owner.memory.size())};
    std::array<char*, 6> arguments{};
    std::transform(words.begin(), words.end(), arguments.begin(), [](auto& w) { return w.data(); });
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    output_ = descriptor{ends[0]};
    descriptor output_of_child{ends[1]};
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, output_of_child.get(), 1);
    REQUIRE(::posix_spawn(&process_, arguments[0], &actions, nullptr, arguments.data(), environ) == 0);
    ::posix_spawn_file_actions_destroy(&actions);
  }
  ~writer_process() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
    }
  }

  peer_id self() const { return self_; }
  void send(int signal) const { REQUIRE(::kill(process_, signal) == 0); }

  // Stops it where part of the memory has been written and part has not.
  void stop_in_the_middle_of_a_copy(std::span<const std::byte> memory) const {
    auto first = static_cast<const volatile std::byte*>(memory.data());
    auto last = first + memory.size() - 1;
    for (auto patience = soon(); std::chrono::steady_clock::now() < patience;) {
      if (*first == *last)
        continue;
      send(SIGSTOP);
      int status = 0;
      REQUIRE(::waitpid(process_, &status, WUNTRACED) == process_);
      REQUIRE(WIFSTOPPED(status));
      if (*first != *last)
        return;
      send(SIGCONT);
    }
    FAIL("never met in the middle of a copy");
  }

  // What the first write ended with that did not succeed.
  std::string refusal() const {
    pollfd look{output_.get(), POLLIN, 0};
    REQUIRE(::poll(&look, 1, 10'000) == 1);
    std::array<char, 64> text{};
    auto count = ::read(output_.get(), text.data(), text.size());
    return {text.data(), count > 0 ? static_cast<std::size_t>(count) - 1 : 0};
  }

private:
  const peer_id self_ = random_peer();
  pid_t process_ = 0;
  descriptor output_;
};

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
    writer_process writer{owner};
    writer.stop_in_the_middle_of_a_copy(owner.memory);
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
    writer_process writer{owner};
    writer.stop_in_the_middle_of_a_copy(owner.memory);
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
  writer_process writer{owner};
  writer.stop_in_the_middle_of_a_copy(owner.memory);
  auto begin = std::chrono::steady_clock::now();
  owner.bytes->remove_region(owner.region);
  CHECK(std::chrono::steady_clock::now() - begin < 1s); // it waits for nobody
  writer.send(SIGCONT);
  CHECK(writer.refusal() == "unknown_region");
  REQUIRE(owner.bytes->fence(writer.self()));
  CHECK(await_end(*owner.bytes).result == errc::none);
  CHECK(stays_ours(owner));
}
