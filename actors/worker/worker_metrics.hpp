// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <string>

#include <caf/fwd.hpp>
#include <caf/telemetry/counter.hpp>
#include <caf/telemetry/gauge.hpp>

#include "actors/worker/scheduler.hpp"

namespace troupe {

/// Registry entries of one worker, resolved once; labelled with the worker's id and role.
class worker_metrics {
public:
  worker_metrics(caf::actor_system&, worker_id, const std::string& role);

  /// Brings the registry up to date with a scheduler.
  void update(const scheduler_load&, const scheduler_counters&);

  /// Blocks that a landing received.
  caf::telemetry::int_counter* blocks_received;
  /// Landings that ended in a read of all their blocks.
  caf::telemetry::int_counter* landings_completed;
  /// Landings that broke (peer, transport or checksum).
  caf::telemetry::int_counter* landings_broken;
  /// Blocks whose checksum, fingerprint or epoch was wrong.
  caf::telemetry::int_counter* checksum_misses;
  /// Messages of an earlier epoch or for unknown requests.
  caf::telemetry::int_counter* stale_messages;

private:
  struct block_gauges {
    caf::telemetry::int_gauge* all;
    caf::telemetry::int_gauge* free;
    caf::telemetry::int_gauge* quarantined;
  };
  /// Of each cache group; that of a group without blocks is not registered.
  block_gauges register_blocks(std::size_t group) const;
  std::array<std::optional<block_gauges>, gpu::groups_max> blocks_;
  caf::telemetry::metric_registry* registry_;
  std::string worker_;
  std::string role_;
  caf::telemetry::int_gauge* running_;
  caf::telemetry::int_gauge* queued_;
  caf::telemetry::int_counter* steps_;
  caf::telemetry::int_counter* decode_steps_;
  caf::telemetry::int_counter* prompt_tokens_computed_;
  caf::telemetry::int_counter* prompt_tokens_cached_;
  caf::telemetry::int_counter* output_tokens_;
  caf::telemetry::int_counter* preemptions_;
  caf::telemetry::int_counter* refused_;
  scheduler_counters reported_;
};

} // namespace troupe
