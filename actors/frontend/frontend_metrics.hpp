// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include <caf/telemetry/counter.hpp>
#include <caf/telemetry/gauge.hpp>
#include <caf/telemetry/histogram.hpp>
#include <caf/telemetry/metric_registry.hpp>

namespace troupe {

/// The frontend's metrics, resolved once. The objects belong to the registry and may be used from any thread.
struct frontend_metrics {
  caf::telemetry::dbl_histogram* time_to_first_token = nullptr;
  caf::telemetry::dbl_histogram* inter_token_latency = nullptr;
  caf::telemetry::dbl_histogram* sampled_to_socket = nullptr;
  caf::telemetry::int_gauge* open_streams = nullptr;
  caf::telemetry::int_counter* tokens = nullptr;
  caf::telemetry::int_counter* slow_readers = nullptr;
  caf::telemetry::metric_family_impl<caf::telemetry::int_counter>* requests = nullptr;
};

frontend_metrics make_frontend_metrics(caf::telemetry::metric_registry&);

/// Counts a request that was answered. `endpoint` is one of our paths, or "other".
void count_request(const frontend_metrics&, std::string_view endpoint, std::uint16_t status);

} // namespace troupe
