// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "actors/worker/scheduler.hpp"
#include "gpu/executor.hpp"
#include "messages/errc.hpp"
#include "messages/ids.hpp"

namespace troupe {

/// What a worker of either kind is made with.
struct worker_config {
  worker_id id;
  /// This life; grows with each restart.
  epoch worker_epoch;
  /// Name under which the model is served.
  std::string model;
  vocabulary_id vocabulary;
  /// Makes its executor; runs once, when the worker starts. Weights are shared, so it is quick.
  std::function<expected<std::unique_ptr<gpu::executor>, gpu::error>()> make_executor;
  /// Bounds; what the executor cannot do is taken off them, and blocks come from it.
  scheduler_config limits;
  /// How often it reports its load, expires what is late, and looks for a restarted directory.
  std::chrono::milliseconds tick_interval{100};
  /// A landing into which nothing arrives for so long is given up.
  std::chrono::nanoseconds landing_lease = std::chrono::seconds{30};
  /// KV blocks whose checksums one handler computes, the last one beyond them included: a worker has a thread for about
  /// a millisecond at a time, and between two such turns it and others do what came in the meantime.
  std::uint64_t checksum_turn_bytes = std::uint64_t{8} << 20;
  /// A step that is not back in this time, its wait behind others included, means a hung device.
  std::chrono::nanoseconds step_time_max = std::chrono::seconds{300};
  /// How long others may take to answer a worker: a hub to acknowledge a batch (else its requests are given up), an
  /// endpoint to register or fence (else it is asked again), a prefill worker to say that it writes no more (else it is
  /// fenced: so long the blocks of its landings stay in quarantine).
  std::chrono::seconds answer_time_max{30};
};

} // namespace troupe
