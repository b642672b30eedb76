// SPDX-License-Identifier: Apache-2.0
// Peers in processes of their own, which are killed or stopped. Forked while this process has one thread.
#include <doctest/doctest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "tests/support/tcp_fixture.hpp"

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

constexpr std::size_t size = 64 << 20;

// Another process, and a pipe in either direction. Ends with the object.
class child_process {
public:
  using body = std::function<void(int in, int out)>;

  explicit child_process(const body& what) {
    std::array<int, 2> down{};
    std::array<int, 2> up{};
    REQUIRE(::pipe(down.data()) == 0);
    REQUIRE(::pipe(up.data()) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::alarm(60); // whatever happens to the parent
      what(down[0], up[1]);
      ::_exit(0);
    }
    ::close(down[0]);
    ::close(up[1]);
    to_ = socket_handle{down[1]};
    from_ = socket_handle{up[0]};
  }
  ~child_process() {
    signal(SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  void signal(int number) const { ::kill(pid_, number); }
  // Until it has really stopped.
  void stop() const {
    signal(SIGSTOP);
    ::waitpid(pid_, nullptr, WUNTRACED);
  }
  int in() const { return to_.get(); }
  int out() const { return from_.get(); }

private:
  pid_t pid_ = -1;
  socket_handle to_;
  socket_handle from_;
};

void say(int fd, std::string text) {
  text.resize(256);
  if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    ::abort();
}

std::string hear(int fd) {
  std::array<char, 256> text{};
  std::size_t have = 0;
  while (have < text.size()) {
    auto got = ::read(fd, text.data() + have, text.size() - have);
    if (got <= 0)
      return {};
    have += static_cast<std::size_t>(got);
  }
  return text.data();
}

constexpr peer_id parent{1'000'001};
constexpr peer_id child{1'000'002};

// Hears a description and writes its whole region, again and again; says when that fails, and when it works again.
void write_for_ever(int in, int out) {
  std::vector<std::byte> memory(size, std::byte{0x77});
  auto bytes = *tcp_backend::make(child);
  auto region = *bytes->add_region({memory.data(), memory.size()});
  auto target = *bytes->import(parent, hear(in));
  run whole{0, size};
  for (bool fails = false;;) {
    if (!bytes->write(region, std::span{&whole, 1}, target, std::span{&whole, 1}, {}, soon()))
      ::_exit(1);
    for (auto& c : await_news(*bytes, 1, 0).completions)
      if (std::exchange(fails, c.result != errc::none) != fails)
        say(out, fails ? "fails" : "works again");
  }
}

// Describes a region, and polls.
void own_for_ever(int in, int out) {
  std::vector<std::byte> memory(size);
  auto bytes = *tcp_backend::make(child);
  auto region = *bytes->add_region({memory.data(), memory.size()});
  say(out, *bytes->describe(region, parent));
  hear(in); // until the parent ends
}

// What another thread writes, without a lock: this is how a test knows that a write is under way.
__attribute__((no_sanitize("thread"))) bool await_byte(const std::vector<std::byte>& memory, std::size_t at,
                                                       std::byte value) {
  auto patience = soon();
  const volatile std::byte* where = memory.data() + at;
  while (*where != value && std::chrono::steady_clock::now() < patience)
    ::usleep(100);
  return *where == value;
}

} // namespace

TEST_CASE("tcp: a process that is stopped in mid-write is fenced in time; continued, it changes nothing") {
  for (int round = 0; round < 5; ++round) {
    CAPTURE(round);
    child_process peer{write_for_ever};
    std::vector<std::byte> memory(size);
    auto bytes = *tcp_backend::make(parent, {.fence_time_max = std::chrono::milliseconds{300}});
    auto region = *bytes->add_region({memory.data(), memory.size()});
    say(peer.in(), *bytes->describe(region, child));
    REQUIRE(await_byte(memory, size / 8 * static_cast<std::size_t>(round + 1), std::byte{0x77}));
    peer.stop();
    auto begin = std::chrono::steady_clock::now();
    REQUIRE(bytes->fence(child));
    REQUIRE(await_news(*bytes, 1, 0).completions.size() == 1);
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{3});
    bytes->forget(child); // so that what it posts later does not land either
    std::fill(memory.begin(), memory.end(), std::byte{0xee});
    peer.signal(SIGCONT);
    CHECK(hear(peer.out()) == "fails"); // its write has ended, whole or not
    CHECK(std::all_of(memory.begin(), memory.end(), [](std::byte b) { return b == std::byte{0xee}; }));
  }
}

TEST_CASE("tcp: a process that a fence has cut off writes again over a new connection") {
  child_process peer{write_for_ever};
  std::vector<std::byte> memory(size);
  auto bytes = *tcp_backend::make(parent, {.fence_time_max = std::chrono::milliseconds{300}});
  auto region = *bytes->add_region({memory.data(), memory.size()});
  say(peer.in(), *bytes->describe(region, child));
  REQUIRE(await_byte(memory, size / 2, std::byte{0x77}));
  peer.stop();
  REQUIRE(bytes->fence(child));
  REQUIRE(await_news(*bytes, 1, 0).completions.size() == 1);
  peer.signal(SIGCONT);
  CHECK(hear(peer.out()) == "fails");
  CHECK(hear(peer.out()) == "works again");
}

TEST_CASE("tcp: killing the owner ends writes with peer_gone in time, and the next one too") {
  child_process peer{own_for_ever};
  auto description = hear(peer.out());
  std::vector<std::byte> memory(size, std::byte{0x77});
  auto bytes = *tcp_backend::make(parent);
  auto region = *bytes->add_region({memory.data(), memory.size()});
  auto target = bytes->import(child, description);
  REQUIRE(target);
  run whole{0, size};
  auto write = [&] { return bytes->write(region, std::span{&whole, 1}, *target, std::span{&whole, 1}, {}, soon()); };
  for (int i = 0; i < 20; ++i)
    REQUIRE(write());
  CHECK(await_news(*bytes, 1, 0).completions.at(0).result == errc::none);
  peer.signal(SIGKILL);
  auto begin = std::chrono::steady_clock::now();
  std::size_t gone = 0;
  std::size_t completed = 1;
  while (completed < 20) {
    auto more = await_news(*bytes, 1, 0).completions;
    REQUIRE_FALSE(more.empty());
    completed += more.size();
    for (auto& c : more)
      gone += c.result == errc::peer_gone ? 1 : 0;
  }
  CHECK(completed == 20);
  CHECK(gone > 0);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{2});
  REQUIRE(write());
  CHECK(await_news(*bytes, 1, 0).completions.at(0).result == errc::peer_gone);
}

TEST_CASE("tcp: killing the writer in mid-write ends fences about it, and its bytes stop") {
  child_process peer{write_for_ever};
  std::vector<std::byte> memory(size);
  auto bytes = *tcp_backend::make(parent);
  auto region = *bytes->add_region({memory.data(), memory.size()});
  say(peer.in(), *bytes->describe(region, child));
  REQUIRE(await_byte(memory, size / 2, std::byte{0x77}));
  peer.signal(SIGKILL);
  REQUIRE(bytes->fence(child));
  CHECK(await_news(*bytes, 1, 0).completions.size() == 1);
  std::fill(memory.begin(), memory.end(), std::byte{0xee});
  bytes->remove_region(region);
  CHECK(std::all_of(memory.begin(), memory.end(), [](std::byte b) { return b == std::byte{0xee}; }));
}
