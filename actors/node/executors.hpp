// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "actors/config/node_config.hpp"
#include "gpu/executor.hpp"
#include "gpu/host/host_weights.hpp"

namespace troupe {

/// Makes the executor of one worker; see node_parts.
using executor_maker = std::function<expected<std::unique_ptr<gpu::executor>, gpu::error>(const worker_section&)>;

/// Executors as a configuration wants them: on the CPU with these weights, sharing one compute pool; or
/// mocks, which need no weights.
expected<executor_maker, gpu::error> make_executor_maker(const node_config&,
                                                         std::shared_ptr<const gpu::host::host_weights>);

} // namespace troupe
