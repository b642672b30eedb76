// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include <caf/typed_event_based_actor.hpp>

#include "actors/node/discovery_messages.hpp"
#include "actors/node/lease_folder.hpp"

namespace troupe {

struct lease_keeper_config {
  std::filesystem::path folder;
  /// A node that has not renewed its lease for so long is taken for gone.
  std::chrono::nanoseconds lease_time = std::chrono::seconds{10};
  std::string cluster;
  std::string node;
  std::uint64_t life = 0;
  /// Where this node can be reached; empty while it does not listen yet. Called on the actor's thread.
  std::function<std::string()> address;
};

using lease_keeper_actor = caf::typed_actor<auto(renew_lease)->caf::result<void>>;

// lease_keeper: a node's part in discovery by a shared folder.
//
// Renews this node's lease three times in its time, and tells node_links where the others are. Has a thread of its own
// (caf::detached), because a network's file system may block for as long as it likes. A folder that cannot be used is
// logged once, and tried again. Withdraws the lease when it ends, with its supervisor.

class lease_keeper_state {
public:
  static inline const char* name = "troupe.lease-keeper";

  lease_keeper_state(lease_keeper_actor::pointer self, lease_keeper_config config);
  ~lease_keeper_state();

  lease_keeper_actor::behavior_type make_behavior();

private:
  void renew();
  expected<void, error> exchange();

  lease_keeper_actor::pointer self_;
  lease_keeper_config config_;
  lease_folder folder_;
  bool listens_ = false;
  /// What is in the folder.
  std::optional<node_lease> mine_;
  /// The last failure that was logged.
  std::string complaint_;
};

lease_keeper_actor spawn_lease_keeper(caf::actor_system&, lease_keeper_config);

} // namespace troupe
