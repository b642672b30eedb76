// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "actors/config/node_config.hpp"
#include "gpu/executor.hpp"
#include "gpu/host/host_weights.hpp"

namespace troupe {

/// Makes the executor of one worker; see node_parts.
using executor_maker = std::function<expected<std::unique_ptr<gpu::executor>, gpu::error>(const worker_section&)>;

struct executor_plan {
  executor_maker make;
  /// Tokens whose KV the blocks of one worker hold, of the one that holds the fewest. A sequence cannot be longer.
  std::uint64_t kv_tokens = 0;
};

/// Whether this machine can compute what the configuration wants: known before a model is loaded. errc::unsupported
/// names the option.
expected<void, gpu::error> check_compute(const node_config&);

/// Executors as a configuration wants them: on the CPU with these weights, sharing one compute pool; or
/// mocks, which need no weights. REQUIRES: check_compute() found nothing
expected<executor_plan, gpu::error> plan_executors(const node_config&, std::shared_ptr<const gpu::host::host_weights>);

} // namespace troupe
