// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace troupe::gpu::host {

/// Cores that this process may use: its affinity, bounded by the CPU quota of its cgroups (v2 or v1),
/// rounded up. At least 1.
std::uint32_t usable_cpus();

} // namespace troupe::gpu::host
