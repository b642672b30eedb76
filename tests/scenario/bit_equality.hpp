// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>

#include "gpu/host/host_weights.hpp"
#include "gpu/host/simd_path.hpp"

namespace troupe::test {

/// How much is run.
enum class bit_equality_extent : std::uint8_t {
  /// Every difference alone, then together.
  each_alone,
  /// Differences that do not hide each other share a run: for a model that takes its time.
  shared_runs,
  /// The same with half of the prompts: for many models.
  few_prompts,
};

/// Answers 20 prompts of 5 to 1,500 tokens (few_prompts: 10, up to 700), half of them greedy, half seeded, by a node's
/// actors in many ways, and checks (with doctest) that every logit row has the same bits in all of them: aggregated and
/// disaggregated, alone and eight at a time, in chunks of 64 and of 4,096 tokens, from the prefix cache and
/// not, preempted and not, with one thread and two. Proves for each way that it was really taken.
void check_bit_equality(std::shared_ptr<const gpu::host::host_weights>, gpu::host::simd_path, bit_equality_extent);

/// The demo model; null if it is not there, which is said.
std::shared_ptr<const gpu::host::host_weights> load_demo_model();

} // namespace troupe::test
