// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include "messages/interfaces.hpp"

namespace troupe {

/// An actor that the supervisor keeps alive. All "children" of a supervisor are actors of its process; a process of its
/// own is a "child process", and the child that stands for it is the actor child_process.
struct child_spec {
  /// For logs; also the name under which it is registered as a local service, if it is one.
  std::string name;
  /// Spawns it; null if that is impossible now, upon which it is asked again after backoff_max. Called at the start and
  /// for each restart.
  std::function<caf::strong_actor_ptr()> start;
  /// Told about every new handle, the first included; may be empty. Runs on the supervisor.
  std::function<void(const caf::strong_actor_ptr&)> started;
  /// Ordered down at a drain: lower first; children of one rank at the same time.
  enum class drain_rank : std::uint8_t { gateway, worker, never } drain = drain_rank::never;
};

struct node_supervisor_config {
  std::vector<child_spec> children;
  /// More failures than this within the window end the node.
  std::uint32_t restarts_max = 3;
  std::chrono::milliseconds restart_window{10'000};
  /// Wait before a restart; doubles with each further failure of the same child within the window.
  std::chrono::milliseconds backoff_first{100};
  std::chrono::milliseconds backoff_max{5'000};
  /// Called once, when failures exceeded restarts_max, with the code of the last: the node must end.
  std::function<void(const error& why)> give_up;
};

using node_supervisor_actor = caf::typed_actor<
  // Drains gateways, then workers, within the time; responds when all are done or the time is up.
  auto(drain_request)->caf::result<void>>;

// node_supervisor: the owner of a node's actors.
//
// Starts its children in order, monitors them, and restarts one that ends, after a back-off. Too many
// failures within a window end the node: give_up is called and the supervisor quits, which ends its
// children. Ends with its actor system, or by giving up.

class node_supervisor_state {
public:
  static inline const char* name = "troupe.node-supervisor";

  node_supervisor_state(node_supervisor_actor::pointer self, node_supervisor_config config);
  ~node_supervisor_state();

  node_supervisor_actor::behavior_type make_behavior();

private:
  struct child {
    child_spec spec;
    caf::strong_actor_ptr handle;
    std::deque<std::chrono::steady_clock::time_point> failures;
  };

  void start(std::size_t index);
  void child_down(const caf::down_msg&);
  caf::result<void> drain(const drain_request&);
  void drain_rank(child_spec::drain_rank, caf::typed_response_promise<void>,
                  std::chrono::steady_clock::time_point until);
  std::chrono::milliseconds backoff_after(std::size_t failures) const;

  node_supervisor_actor::pointer self_;
  node_supervisor_config config_;
  std::vector<child> children_;
  std::deque<std::chrono::steady_clock::time_point> failures_;
  bool draining_ = false;
};

node_supervisor_actor spawn_node_supervisor(caf::actor_system&, node_supervisor_config);

} // namespace troupe
