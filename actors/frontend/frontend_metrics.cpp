// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/frontend_metrics.hpp"

#include <array>
#include <string>

namespace troupe {

namespace {

// Doublings from a quarter of a millisecond, the aim for the frontend's own share, to the deadline's order.
constexpr std::array<double, 19> first_token_bounds{0.00025, 0.0005, 0.001,  0.002,  0.004, 0.008, 0.016,
                                                    0.032,   0.064,  0.128,  0.256,  0.512, 1.024, 2.048,
                                                    4.096,   8.192,  16.384, 32.768, 65.536};
constexpr std::array<double, 14> token_gap_bounds{0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032,
                                                  0.064,  0.128, 0.256, 0.512, 1.024, 2.048, 4.096};
// Finer than doublings: quantiles are read from it.
constexpr std::array<double, 22> sampled_to_socket_bounds{
  0.00005, 0.0001, 0.0002, 0.0003, 0.0005, 0.0007, 0.001, 0.0015, 0.002, 0.003, 0.004,
  0.005,   0.007,  0.01,   0.015,  0.02,   0.03,   0.05,  0.1,    0.2,   0.5,   1};

template <std::size_t N>
caf::span<const double> as_span(const std::array<double, N>& bounds) {
  return {bounds.data(), bounds.size()};
}

} // namespace

frontend_metrics make_frontend_metrics(caf::telemetry::metric_registry& registry) {
  constexpr auto prefix = "troupe.rest";
  frontend_metrics out;
  out.time_to_first_token = registry.histogram_singleton<double>(
    prefix, "time-to-first-token", as_span(first_token_bounds),
    "Time from a request's last byte to its first tokens at the frontend.", "seconds");
  out.inter_token_latency =
    registry.histogram_singleton<double>(prefix, "inter-token-latency", as_span(token_gap_bounds),
                                         "Time between two arrivals of tokens of a choice.", "seconds");
  out.sampled_to_socket = registry.histogram_singleton<double>(
    prefix, "sampled-to-socket", as_span(sampled_to_socket_bounds),
    "Time from a step's end on this node's device to its tokens' bytes in the client's socket; "
    "not of streams whose socket is full.",
    "seconds");
  out.open_streams = registry.gauge_singleton(prefix, "open-streams", "Answers in work, streamed or not.");
  out.tokens = registry.counter_singleton(prefix, "tokens", "Output tokens handed to answers.", "1", true);
  out.slow_readers = registry.counter_singleton(prefix, "slow-readers",
                                                "Streams ended because their client read too slowly.", "1", true);
  out.requests =
    registry.counter_family(prefix, "requests", {"endpoint", "code"}, "Requests by endpoint and status.", "1", true);
  return out;
}

void count_request(const frontend_metrics& metrics, std::string_view endpoint, std::uint16_t status) {
  const auto code = std::to_string(status);
  metrics.requests->get_or_add({{"endpoint", {endpoint.data(), endpoint.size()}}, {"code", {code.data(), code.size()}}})
    ->inc();
}

} // namespace troupe
