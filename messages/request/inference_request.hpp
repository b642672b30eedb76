// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "messages/ids.hpp"
#include "messages/request/sampling_options.hpp"

namespace troupe {

/// One choice of one client request, tokenized, as sessions and workers know it.
struct inference_request {
  request_id id;
  std::string model;
  std::vector<token_id> prompt;
  /// At least 1; the gateway has filled in the default.
  std::uint32_t output_tokens_max = 0;
  sampling_options sampling;
  /// Tokens that end the generation and are not reported.
  std::vector<token_id> stop_tokens;
  /// Lower is sooner.
  std::int32_t priority = 0;
  /// Time left until the deadline, from the moment of sending.
  std::chrono::nanoseconds time_left{};
  /// Time that it may wait before its first step.
  std::chrono::nanoseconds queue_time_left{};

  friend bool operator==(const inference_request&, const inference_request&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, inference_request& x) {
  return f.object(x).fields(f.field("id", x.id), f.field("model", x.model), f.field("prompt", x.prompt),
                            f.field("output_tokens_max", x.output_tokens_max), f.field("sampling", x.sampling),
                            f.field("stop_tokens", x.stop_tokens), f.field("priority", x.priority),
                            f.field("time_left", x.time_left), f.field("queue_time_left", x.queue_time_left));
}

} // namespace troupe
