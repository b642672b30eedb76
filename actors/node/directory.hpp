// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <vector>

#include <caf/typed_event_based_actor.hpp>

#include "messages/interfaces.hpp"

namespace troupe {

// directory: who serves what, in which epoch, and whether it makes progress.
//
// Workers introduce themselves and report their load; the directory monitors them and drops the dead.
// Routers and decode workers follow the fleet. Ends with its supervisor; after a restart workers notice
// within a report interval and introduce themselves again.
// Bounds: workers_max members, subscribers_max followers; more are refused with errc::resource.

struct directory_config {
  std::uint32_t workers_max = 4096;
  std::uint32_t subscribers_max = 4096;
  /// Stages without which this node cannot answer: role_bits.
  std::uint32_t roles_needed = role_decode;
  /// No step finished in this time while work waits: the worker hangs.
  std::chrono::milliseconds stall_max{5000};
};

class directory_state {
public:
  static inline const char* name = "troupe.directory";

  directory_state(directory_actor::pointer self, directory_config config);

  directory_actor::behavior_type make_behavior();

private:
  struct member {
    fleet_member who;
    load_report load;
    /// When its step count last grew, or when it last had nothing to do.
    std::chrono::steady_clock::time_point progressed;
  };

  caf::result<void> introduce(fleet_member);
  caf::result<void> subscribe(fleet_sink_actor);
  void note(const load_report&);
  node_health health() const;
  void forget(const caf::actor_addr&);
  void publish();
  fleet_snapshot snapshot() const;

  directory_actor::pointer self_;
  directory_config config_;
  std::uint64_t version_ = 0;
  std::map<worker_id, member> members_;
  std::vector<fleet_sink_actor> subscribers_;
};

directory_actor spawn_directory(caf::actor_system&, directory_config);

} // namespace troupe
