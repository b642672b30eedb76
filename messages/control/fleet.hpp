// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include <caf/actor_control_block.hpp>

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

/// All workers that the directory knows, sent to its subscribers whenever that changes.
struct fleet_snapshot {
  /// Grows with each change.
  std::uint64_t version = 0;
  std::vector<fleet_member> members;

  friend bool operator==(const fleet_snapshot&, const fleet_snapshot&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, fleet_snapshot& x) {
  return f.object(x).fields(f.field("version", x.version), f.field("members", x.members));
}

} // namespace troupe
