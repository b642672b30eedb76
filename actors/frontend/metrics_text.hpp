// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <caf/telemetry/metric_registry.hpp>

namespace troupe {

/// All metrics of the registry, and memory and start time of the process, in Prometheus' text format 0.0.4.
/// Dots and hyphens become underscores; units and `_total` are appended as Prometheus wants them.
std::string metrics_text(const caf::telemetry::metric_registry&);

} // namespace troupe
