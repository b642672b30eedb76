// SPDX-License-Identifier: Apache-2.0
#include "actors/node/executors.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "actors/worker/kv_sizes.hpp"
#include "gpu/host/compute_pool.hpp"
#include "gpu/host/host_executor.hpp"
#include "gpu/host/simd_path.hpp"
#include "gpu/mock/mock_executor.hpp"

namespace troupe {

namespace {

// The mock's blocks are small, so a number of them says more than kv.memory.
constexpr std::uint32_t mock_blocks = 16'384;
constexpr std::uint32_t mock_vocabulary = 1'000'000;

expected<executor_plan, gpu::error> plan_host(const node_config& config,
                                              std::shared_ptr<const gpu::host::host_weights> weights) {
  auto pool = gpu::host::compute_pool::make(config.compute.threads);
  if (!pool)
    return unexpected{pool.error()};
  auto groups = gpu::host::kv_groups(*weights, config.kv.block_tokens);
  gpu::host::host_executor_options options;
  auto divide = [groups, memory = config.kv.memory_bytes, context = weights->config().context_tokens,
                 steps = options.steps_in_flight_max](const worker_section& section) {
    scheduler_config limits;
    limits.context_tokens = context;
    limits.running_max = section.running_max;
    limits.step_tokens_max = section.batch_tokens;
    limits.steps_in_flight_max = steps;
    return divide_kv_memory(memory, groups, limits);
  };
  // Of the worker that has the fewest.
  std::uint64_t blocks = std::numeric_limits<std::uint64_t>::max();
  for (auto* section : {&config.prefill_worker, &config.decode_worker}) {
    if (!*section)
      continue;
    auto sizes = divide(**section);
    if (!sizes)
      return gpu::fail(gpu::errc::resource, "kv.memory holds not one block of this model");
    blocks = std::min<std::uint64_t>(blocks, sizes->blocks);
  }
  options.block_tokens = config.kv.block_tokens;
  options.simd = config.compute.simd;
  executor_maker make = [options, divide, pool = *pool, weights](const worker_section& section) {
    auto mine = options;
    auto sizes = *divide(section);
    mine.kv_blocks = sizes.blocks;
    mine.window_blocks = sizes.window_blocks;
    mine.slots_max = section.running_max;
    mine.rows_max = section.running_max;
    mine.tokens_max = section.batch_tokens;
    return gpu::host::make_host_executor(weights, pool, mine);
  };
  return executor_plan{std::move(make), blocks * options.block_tokens};
}

gpu::mock::mock_fault fault_of(mock_section::fault_kind kind) {
  switch (kind) {
    case mock_section::fault_kind::none: return gpu::mock::mock_fault::none;
    case mock_section::fault_kind::device_lost: return gpu::mock::mock_fault::device_lost;
    case mock_section::fault_kind::crash: return gpu::mock::mock_fault::crash;
    case mock_section::fault_kind::slow: return gpu::mock::mock_fault::slow;
  }
  return gpu::mock::mock_fault::none;
}

executor_plan plan_mocks(const node_config& config) {
  gpu::mock::mock_options options;
  options.time = {config.executor.mock.step_base, config.executor.mock.per_prompt_token, config.executor.mock.per_row};
  options.block_tokens = static_cast<std::uint16_t>(config.kv.block_tokens);
  options.kv_blocks = mock_blocks;
  options.fault = fault_of(config.executor.mock.fault);
  options.fault_after_steps = config.executor.mock.fault_after_steps;
  // Printable ASCII in every byte-level vocabulary; the real tokenizer makes text of them.
  for (token_id token = 50; token < 100; ++token)
    options.drawn_tokens.push_back(token);
  options.vocabulary = mock_vocabulary;
  executor_maker make =
    [options](const worker_section& section) -> expected<std::unique_ptr<gpu::executor>, gpu::error> {
    auto mine = options;
    mine.slots_max = section.running_max;
    mine.rows_max = section.running_max;
    mine.tokens_max = section.batch_tokens;
    auto made = gpu::mock::mock_executor::make(mine);
    if (!made)
      return unexpected{made.error()};
    return std::unique_ptr<gpu::executor>{std::move(*made)};
  };
  return {std::move(make), std::uint64_t{options.kv_blocks} * options.block_tokens};
}

} // namespace

expected<void, gpu::error> check_compute(const node_config& config) {
  if (config.executor.kind == executor_kind::host && (config.prefill_worker || config.decode_worker))
    if (auto path = gpu::host::choose_simd_path(config.compute.simd); !path)
      return gpu::fail(path.error().code, "compute.simd: " + path.error().context);
  return {};
}

expected<executor_plan, gpu::error> plan_executors(const node_config& config,
                                                   std::shared_ptr<const gpu::host::host_weights> weights) {
  if (config.executor.kind == executor_kind::mock)
    return plan_mocks(config);
  return plan_host(config, std::move(weights));
}

} // namespace troupe
