// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "messages/ids.hpp"
#include "messages/request/finish_reason.hpp"
#include "messages/request/sampled_token.hpp"
#include "messages/request/usage.hpp"

namespace troupe {

/// New tokens of one stream.
struct stream_tokens {
  request_id request;
  /// generate_request's.
  std::uint32_t attempt = 0;
  /// Position of tokens[0] in the stream's output, from 0.
  std::uint32_t first_index = 0;
  std::vector<sampled_token> tokens;
  /// Set with the last tokens of the stream.
  finish_reason finish = finish_reason::none;
  /// Valid if `finish` is set; until then only cached_tokens and mixed_workers may be known.
  troupe::usage usage;
  /// When the step of the oldest of these tokens was done, by the steady clock of the worker's node; nothing
  /// if that was on another node.
  std::optional<std::chrono::nanoseconds> sampled_at;

  friend bool operator==(const stream_tokens&, const stream_tokens&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, stream_tokens& x) {
  return f.object(x).fields(f.field("request", x.request), f.field("attempt", x.attempt),
                            f.field("first_index", x.first_index), f.field("tokens", x.tokens),
                            f.field("finish", x.finish), f.field("usage", x.usage),
                            f.field("sampled_at", x.sampled_at));
}

/// What a worker has for all streams of one hub since its last batch was acknowledged. The response is
/// the acknowledgement: a worker has at most one batch per hub under way, later tokens join the next.
struct token_batch {
  worker_id worker;
  epoch worker_epoch;
  std::vector<stream_tokens> streams;

  friend bool operator==(const token_batch&, const token_batch&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, token_batch& x) {
  return f.object(x).fields(f.field("worker", x.worker), f.field("worker_epoch", x.worker_epoch),
                            f.field("streams", x.streams));
}

} // namespace troupe
