// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "messages/ids.hpp"

namespace troupe {

/// How loaded a worker is and how far it came, sent by it several times a second.
struct load_report {
  worker_id worker;
  epoch worker_epoch;
  /// KV blocks of the cache group of which the smallest part is free: that one will be short first.
  std::uint32_t blocks = 0;
  /// Blocks that no sequence references; cached ones count as free.
  std::uint32_t free_blocks = 0;
  std::uint32_t quarantined_blocks = 0;
  std::uint32_t running = 0;
  std::uint32_t queued = 0;
  /// Prompt tokens that wait for prefill.
  std::uint32_t prefill_tokens = 0;
  /// Of the running, those whose prompt another worker computes.
  std::uint32_t landing = 0;
  /// Steps finished in this epoch: progress.
  std::uint64_t steps = 0;
  /// It takes no new requests.
  bool draining = false;

  /// The worker itself has something to compute.
  bool work_waits() const { return running - landing + queued > 0; }

  friend bool operator==(const load_report&, const load_report&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, load_report& x) {
  return f.object(x).fields(f.field("worker", x.worker), f.field("worker_epoch", x.worker_epoch),
                            f.field("blocks", x.blocks), f.field("free_blocks", x.free_blocks),
                            f.field("quarantined_blocks", x.quarantined_blocks), f.field("running", x.running),
                            f.field("queued", x.queued), f.field("prefill_tokens", x.prefill_tokens),
                            f.field("landing", x.landing), f.field("steps", x.steps), f.field("draining", x.draining));
}

} // namespace troupe
