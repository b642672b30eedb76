// SPDX-License-Identifier: Apache-2.0
#include "actors/node/end_limit.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>

#include "actors/log/log.hpp"
#include "actors/node/actor_types.hpp"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

/// How a process ends whose detached actor is busy for so long.
int exit_code_of_process_with(std::chrono::milliseconds busy) {
  auto child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::alarm(20);
    init_actor_types();
    {
      const log_session logging{{log_level::off}};
      end_limit limit{300ms};
      caf::actor_system_config config;
      caf::actor_system system{config};
      system.spawn<caf::detached>([busy] { std::this_thread::sleep_for(busy); });
      limit.start(6);
    }
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

} // namespace

TEST_CASE("a process whose actor hangs ends with the code that it was to end with") {
  auto begin = std::chrono::steady_clock::now();
  CHECK(exit_code_of_process_with(60s) == 6);
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("a process whose actors end in time ends by itself") { CHECK(exit_code_of_process_with(0ms) == 0); }
