// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
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
  bool under_way() const { return under_way_; }

  /// Everything that waits, as one batch; from now on a batch is under way.
  /// REQUIRES: !empty() && !under_way()
  std::vector<stream_tokens> take();

  void acknowledged() { under_way_ = false; }

private:
  std::vector<stream_tokens> pending_;
  std::unordered_map<request_id, std::size_t> position_;
  bool under_way_ = false;
};

} // namespace troupe
