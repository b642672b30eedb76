// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <caf/actor_control_block.hpp>

#include "messages/control/load_report.hpp"
#include "messages/worker_record.hpp"

namespace troupe {

/// A worker and how to reach it.
struct fleet_member {
  worker_record record;
  /// A prefill_worker_actor or decode_worker_actor, as record.roles says.
  caf::strong_actor_ptr handle;

  friend bool operator==(const fleet_member&, const fleet_member&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, fleet_member& x) {
  return f.object(x).fields(f.field("record", x.record), f.field("handle", x.handle));
}

/// All workers that can be given work, sent to its subscribers whenever that changes.
struct fleet_snapshot {
  std::vector<fleet_member> members;
  /// Workers that live, but do not report or make no progress: whoever waits for one should leave it.
  std::vector<worker_id> hung;

  friend bool operator==(const fleet_snapshot&, const fleet_snapshot&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, fleet_snapshot& x) {
  return f.object(x).fields(f.field("members", x.members), f.field("hung", x.hung));
}

/// What one node offers: its own workers and how they do. Sent to the nodes that it is linked with, several times a
/// second and whenever it changes.
struct fleet_share {
  /// The node, and when it started in microseconds of Unix time: a node that was restarted is another.
  std::string node;
  std::uint64_t life = 0;
  std::vector<fleet_member> members;
  std::vector<load_report> loads;
  /// Where the nodes listen that it is linked with, so that others find them.
  std::vector<std::string> neighbours;

  friend bool operator==(const fleet_share&, const fleet_share&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, fleet_share& x) {
  return f.object(x).fields(f.field("node", x.node), f.field("life", x.life), f.field("members", x.members),
                            f.field("loads", x.loads), f.field("neighbours", x.neighbours));
}

/// The link to a node is gone: what it offered cannot be reached.
struct node_left {
  std::string node;
  std::uint64_t life = 0;

  friend bool operator==(const node_left&, const node_left&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, node_left& x) {
  return f.object(x).fields(f.field("node", x.node), f.field("life", x.life));
}

} // namespace troupe
