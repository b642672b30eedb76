// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "actors/worker/scheduler.hpp"
#include "gpu/executor.hpp"

namespace troupe {

/// Blocks of the cache groups of one worker.
struct kv_sizes {
  std::uint32_t blocks = 0;
  /// Of the sliding group; 0 if there is none.
  std::uint32_t window_blocks = 0;

  friend bool operator==(const kv_sizes&, const kv_sizes&) = default;
};

/// Divides a worker's KV memory among its cache groups. The sliding group gets as many blocks as the full one, but no
/// more than all sequences that may run at once can hold, so that it never is what a sequence waits for; all other
/// memory is the full group's. If that is less than the model's context, the sliding group gives what is missing, as
/// far as it still holds what four sequences may: one long text is worth more than many that are short at once. Nothing
/// if the memory holds not one block of each.
/// REQUIRES: `limits` has running_max, step_tokens_max, steps_in_flight_max and context_tokens, none of them 0
std::optional<kv_sizes> divide_kv_memory(std::uint64_t memory_bytes, std::span<const gpu::cache_group> groups,
                                         scheduler_config limits);

} // namespace troupe
