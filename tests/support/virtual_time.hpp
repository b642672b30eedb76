// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include "actors/node/actor_types.hpp"

namespace troupe::test {

/// An actor system whose actors run when the test says so, and whose clock stands still in between.
struct virtual_time {
  virtual_time() {
    init_actor_types();
    config.set("caf.scheduler.policy", "testing");
    config.set("caf.logger.console.verbosity", "quiet");
    system = std::make_unique<caf::actor_system>(config);
  }

  caf::scheduler::test_coordinator& scheduler() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system->scheduler());
  }
  /// Until every mailbox is empty.
  void run() { scheduler().run(); }
  /// In small steps, so that what is due early may cause what is due later.
  void pass(std::chrono::milliseconds time) {
    constexpr std::chrono::milliseconds step{10};
    run();
    for (; time > std::chrono::milliseconds{0}; time -= step) {
      scheduler().advance_time(step);
      run();
    }
  }

  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
};

} // namespace troupe::test
