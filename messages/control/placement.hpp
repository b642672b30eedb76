// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "messages/ids.hpp"

namespace troupe {

/// What placement needs to know of a request.
struct demand {
  request_id request;
  std::string model;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t output_tokens_expected = 0;
  std::int32_t priority = 0;
  /// A worker that just failed this request: taken only if there is no other.
  std::optional<worker_id> avoid;
  /// Of the worker that produced what the client has so far: one that is its equal goes on with the same bits, so it is
  /// preferred.
  std::optional<model_fingerprint> like;
  /// As in generate_request.
  std::uint32_t attempt = 0;

  friend bool operator==(const demand&, const demand&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, demand& x) {
  return f.object(x).fields(
    f.field("request", x.request), f.field("model", x.model), f.field("prompt_tokens", x.prompt_tokens),
    f.field("output_tokens_expected", x.output_tokens_expected), f.field("priority", x.priority),
    f.field("avoid", x.avoid), f.field("like", x.like), f.field("attempt", x.attempt));
}

/// Who does what for a request.
struct placement {
  worker_id decode;
  /// None: the decode worker prefills too.
  std::optional<worker_id> prefill;

  friend bool operator==(const placement&, const placement&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, placement& x) {
  return f.object(x).fields(f.field("decode", x.decode), f.field("prefill", x.prefill));
}

} // namespace troupe
