// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/shared_memory_fixture.hpp"

namespace troupe::test {

/// A process (shared_memory_writer) that writes into a peer's shared memory, again and again, until it is refused.
/// Killed with this object.
class writer_process {
public:
  writer_process() = default;
  writer_process(const writer_process&) = delete;
  writer_process& operator=(const writer_process&) = delete;
  ~writer_process() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
    }
  }

  /// As its writes' peers know it.
  transport::peer_id self() const { return self_; }

  /// Writes `bytes`, whole MiB, into what `owner` described to self(): from the start, or an equal part from each
  /// offset on.
  void begin(transport::peer_id owner, const std::string& description, std::size_t bytes,
             const std::vector<std::uint64_t>& offsets = {}) {
    std::vector<std::string> words{TROUPE_SHARED_MEMORY_WRITER, std::to_string(self_.value),
                                   std::to_string(owner.value), description, std::to_string(bytes)};
    for (auto offset : offsets)
      words.push_back(std::to_string(offset));
    std::vector<char*> arguments;
    for (auto& word : words)
      arguments.push_back(word.data());
    arguments.push_back(nullptr);
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

  void send(int signal) const { REQUIRE(::kill(process_, signal) == 0); }

  /// Stops it where the first byte of what it writes has been written, and the last has not, or the other way round.
  void stop_in_the_middle_of_a_copy(const volatile std::byte& first, const volatile std::byte& last) const {
    for (auto patience = soon(); std::chrono::steady_clock::now() < patience;) {
      if (first == last)
        continue;
      send(SIGSTOP);
      int status = 0;
      REQUIRE(::waitpid(process_, &status, WUNTRACED) == process_);
      REQUIRE(WIFSTOPPED(status));
      if (first != last)
        return;
      send(SIGCONT);
    }
    FAIL("never met in the middle of a copy");
  }

  /// What the first write ended with that did not succeed.
  std::string refusal() const {
    pollfd look{output_.get(), POLLIN, 0};
    REQUIRE(::poll(&look, 1, 10'000) == 1);
    std::array<char, 64> text{};
    auto count = ::read(output_.get(), text.data(), text.size());
    return {text.data(), count > 0 ? static_cast<std::size_t>(count) - 1 : 0};
  }

private:
  const transport::peer_id self_ = random_peer();
  pid_t process_ = 0;
  descriptor output_;
};

} // namespace troupe::test
