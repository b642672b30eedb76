// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "messages/request/token_batch.hpp"

namespace troupe {

/// Tokens for the streams of one hub that wait for the hub's acknowledgement of the batch before.
/// Bound: each stream's tokens are limited by its request, and streams by the scheduler.
class token_outbox {
public:
  /// The entry of a stream in the next batch, made if there is none.
  stream_tokens& entry(request_id request, std::uint32_t first_index);

  /// Drops what waits for a stream that was cancelled.
  void forget(request_id);

  bool empty() const { return pending_.empty(); }
  bool under_way() const { return under_way_ != 0; }
  /// Whether that batch is the one under way.
  bool under_way(std::uint64_t batch) const { return under_way_ == batch; }

  /// Everything that waits, as the batch of that number; from now on it is under way.
  /// REQUIRES: !empty() && !under_way() && batch != 0
  std::vector<stream_tokens> take(std::uint64_t batch);

  void acknowledged() { under_way_ = 0; }

private:
  std::vector<stream_tokens> pending_;
  std::unordered_map<request_id, std::size_t> position_;
  std::uint64_t under_way_ = 0;
};

} // namespace troupe
