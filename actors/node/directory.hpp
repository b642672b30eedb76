// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <caf/typed_event_based_actor.hpp>

#include "messages/interfaces.hpp"

namespace troupe {

// directory: who serves what, in which epoch, and whether it makes progress.
//
// Workers of this node introduce themselves and report their load; those of other nodes come in the shares that their
// nodes send. The directory monitors them all and drops the dead. Routers and decode workers follow the fleet, which
// is without workers that drain; node_links takes what this node offers to others. Ends with its supervisor; after
// a restart workers and links notice within a report interval and come again.
// Bounds: workers_max members, subscribers_max followers; more are refused with errc::resource.

struct directory_config {
  /// This node, as in fleet_share.
  std::string node;
  std::uint64_t life = 0;
  /// How often the loads of this node's workers are shared.
  std::chrono::milliseconds share_interval{250};
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
    /// Its node; empty: this one.
    std::string node;
    load_report load;
    /// When its step count last grew, or when it last had nothing to do.
    std::chrono::steady_clock::time_point progressed;
  };

  caf::result<void> introduce(fleet_member);
  caf::result<void> subscribe(fleet_sink_actor);
  void share_with(share_sink_actor);
  void share();
  void tick();
  void take(fleet_share&);
  void leave(const node_left&);
  bool drop_members(const std::function<bool(const member&)>& gone);
  void note(const load_report&);
  bool is_stalled(const member&) const;
  node_health health() const;
  void forget(const caf::actor_addr&);
  void publish();
  fleet_snapshot snapshot() const;

  directory_actor::pointer self_;
  directory_config config_;
  std::uint64_t version_ = 0;
  std::map<worker_id, member> members_;
  /// Lives of the nodes whose members are known.
  std::map<std::string, std::uint64_t> nodes_;
  std::vector<fleet_sink_actor> subscribers_;
  share_sink_actor links_;
};

directory_actor spawn_directory(caf::actor_system&, directory_config);

} // namespace troupe
