// SPDX-License-Identifier: Apache-2.0
#include "actors/node/executors.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "gpu/host/compute_pool.hpp"
#include "gpu/host/host_executor.hpp"
#include "gpu/host/simd_path.hpp"

namespace troupe {

namespace {

std::optional<gpu::host::simd_path> forced_path(simd_choice choice) {
  switch (choice) {
    case simd_choice::automatic: return std::nullopt;
    case simd_choice::portable: return gpu::host::simd_path::portable;
    case simd_choice::avx2: return gpu::host::simd_path::avx2;
    case simd_choice::avx512: return gpu::host::simd_path::avx512;
  }
  return std::nullopt;
}

expected<executor_maker, gpu::error> make_host_maker(const node_config& config,
                                                     std::shared_ptr<const gpu::host::host_weights> weights) {
  auto path = gpu::host::choose_simd_path(forced_path(config.compute.simd));
  if (!path)
    return unexpected{path.error()};
  auto pool = gpu::host::compute_pool::make(config.compute.threads);
  if (!pool)
    return unexpected{pool.error()};
  auto blocks = config.kv.memory_bytes / gpu::host::kv_block_bytes(*weights, config.kv.block_tokens);
  if (blocks == 0)
    return gpu::fail(gpu::errc::resource, "kv.memory holds not one block of this model");
  gpu::host::host_executor_options options;
  options.kv_blocks = static_cast<std::uint32_t>(std::min<std::uint64_t>(blocks, std::numeric_limits<std::uint32_t>::max()));
  options.block_tokens = config.kv.block_tokens;
  options.simd = *path;
  return executor_maker{[options, pool = *pool, weights](const worker_section& section) {
    auto mine = options;
    mine.slots_max = section.running_max;
    mine.rows_max = section.running_max;
    mine.tokens_max = section.batch_tokens;
    return gpu::host::make_host_executor(weights, pool, mine);
  }};
}

} // namespace

expected<executor_maker, gpu::error> make_executor_maker(const node_config& config,
                                                         std::shared_ptr<const gpu::host::host_weights> weights) {
  return make_host_maker(config, std::move(weights));
}

} // namespace troupe
