// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <caf/typed_event_based_actor.hpp>

#include "messages/interfaces.hpp"
#include "planner/policy/policy.hpp"

namespace troupe {

// router: places requests of all models of this node's frontends.
//
// Owns the fleet as the directory last told it, and a ledger of what it placed and has not been
// released. Sessions ask and release; the directory sends snapshots. Sessions whose decode worker hangs are told, once
// for each snapshot that says so. Ends with its supervisor; a restarted router begins with an empty ledger, which
// fills as requests end.
// Bound: one ledger entry per request in flight, which the gateway limits.

struct router_config {
  /// Decides; shared with nothing that changes it.
  std::shared_ptr<const planner::policy> policy;
  /// How often it looks whether the directory was restarted.
  std::chrono::milliseconds tick_interval{100};
  /// Entries older than this are dropped: their session died without a release.
  std::chrono::seconds entry_age_max{3600};
};

class router_state {
public:
  static inline const char* name = "troupe.router";

  router_state(router_actor::pointer self, router_config config);

  router_actor::behavior_type make_behavior();

private:
  struct entry {
    placement where;
    std::uint64_t tokens = 0;
    std::chrono::steady_clock::time_point since;
    std::uint32_t attempt = 0;
    /// A request_session_actor.
    caf::actor_addr session;
  };
  struct usage_of_worker {
    std::uint32_t requests = 0;
    std::uint64_t tokens = 0;
    std::uint64_t last_placed = 0;
  };

  caf::result<routed> place(const demand&);
  void release(request_id);
  void follow(const fleet_snapshot&);
  void leave_hung();
  void tick();
  std::vector<planner::candidate> candidates_for(const std::string& model) const;
  const fleet_member* find_member(worker_id) const;
  void book(const demand&, const placement&);
  void unbook(const entry&);

  router_actor::pointer self_;
  router_config config_;
  fleet_snapshot fleet_;
  /// The directory that this router follows.
  caf::actor_addr directory_;
  std::unordered_map<request_id, entry> ledger_;
  std::unordered_map<worker_id, usage_of_worker> usage_;
  std::uint64_t placements_ = 0;
};

router_actor spawn_router(caf::actor_system&, router_config);

} // namespace troupe
