// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <caf/actor_control_block.hpp>

#include "messages/control/placement.hpp"

namespace troupe {

/// A router's answer: where, and how to reach the decode worker.
struct routed {
  placement where;
  epoch worker_epoch;
  /// The decode worker's.
  model_fingerprint fingerprint;
  /// A decode_worker_actor.
  caf::strong_actor_ptr decode;

  friend bool operator==(const routed&, const routed&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, routed& x) {
  return f.object(x).fields(f.field("where", x.where), f.field("worker_epoch", x.worker_epoch),
                            f.field("fingerprint", x.fingerprint), f.field("decode", x.decode));
}

} // namespace troupe
