// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <caf/actor_system.hpp>
#include <caf/telemetry/metric_registry.hpp>

namespace troupe::test {

/// Adds up the values of one of the workers' metrics.
struct metric_sum {
  std::string_view name, role;
  std::int64_t sum = 0;
  void add(const caf::telemetry::metric_family* family, const caf::telemetry::metric* instance, std::int64_t value) {
    if (family->prefix() != "troupe.worker" || family->name() != name)
      return;
    for (auto& label : instance->labels())
      if (label.name() == "role" && label.value() == role)
        sum += value;
  }
  void operator()(const caf::telemetry::metric_family* f, const caf::telemetry::metric* m,
                  const caf::telemetry::int_counter* c) {
    add(f, m, c->value());
  }
  void operator()(const caf::telemetry::metric_family* f, const caf::telemetry::metric* m,
                  const caf::telemetry::int_gauge* g) {
    add(f, m, g->value());
  }
  template <class T>
  void operator()(const caf::telemetry::metric_family*, const caf::telemetry::metric*, const T*) {}
};

/// Sum over a node's workers of a metric "troupe.worker.<name>"; role: prefill, decode.
inline std::int64_t sum_metric(caf::actor_system& system, std::string_view name, std::string_view role) {
  metric_sum visitor{name, role};
  system.metrics().collect(visitor);
  return visitor.sum;
}

} // namespace troupe::test
