// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "gpu/executor.hpp"

namespace troupe::gpu {

/// What is wrong with a step for an executor with these bounds, as a sentence; nothing if it can run.
/// Checks counts, ranges, ids and positions. Whether slots are open and `from` rows exist is known to the
/// executor alone.
std::optional<std::string> find_fault(const step&, const executor_info&);

} // namespace troupe::gpu
