// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "gpu/executor.hpp"
#include "gpu/host/compute_pool.hpp"
#include "gpu/host/host_weights.hpp"
#include "gpu/host/simd_path.hpp"

namespace troupe::gpu::host {

struct host_executor_options {
  /// Blocks of the full group; their memory is taken as it is touched.
  std::uint32_t kv_blocks = 0;
  /// Blocks of the sliding group, if the model has one; 0: kv_blocks.
  std::uint32_t window_blocks = 0;
  std::uint32_t block_tokens = 16;
  std::uint32_t slots_max = 64;
  std::uint32_t rows_max = 64;
  std::uint32_t tokens_max = 4096;
  /// At least 2, so that a step can be submitted before the last one's tokens are back.
  std::uint32_t steps_in_flight_max = 2;
  /// Fill row_result::logits_hash.
  bool hash_logits = false;
  /// Forces a path; the fastest supported one if absent.
  std::optional<simd_path> simd;
};

/// The cache groups of a model, with no blocks yet: what a limit of KV memory is divided by. Layers that see a window
/// only are a sliding group of their own if others see all. Where none does, all are in the full group and the windows
/// are masks: what a block of a window holds is named by the full group's block of the same tokens.
std::vector<cache_group> kv_groups(const host_weights&, std::uint32_t block_tokens);

/// An executor of Llama models on the CPU. Executors that share a pool take turns, step by step.
/// errc::unsupported for a path that the CPU does not run, errc::invalid_step for a bound of zero,
/// errc::resource for memory. on_done is called from the pool's dispatcher thread, and by the destructor.
expected<std::unique_ptr<executor>, error>
make_host_executor(std::shared_ptr<const host_weights>, std::shared_ptr<compute_pool>, const host_executor_options&);

} // namespace troupe::gpu::host
