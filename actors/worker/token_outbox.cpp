// SPDX-License-Identifier: Apache-2.0
#include "actors/worker/token_outbox.hpp"

#include <cassert>
#include <utility>

namespace troupe {

stream_tokens& token_outbox::entry(request_id request, std::uint32_t first_index) {
  auto [i, added] = position_.try_emplace(request, pending_.size());
  if (added) {
    pending_.emplace_back();
    pending_.back().request = request;
    pending_.back().first_index = first_index;
  }
  return pending_[i->second];
}

void token_outbox::forget(request_id request) {
  auto i = position_.find(request);
  if (i == position_.end())
    return;
  // The last one takes its place.
  auto gap = i->second;
  position_.erase(i);
  if (gap + 1 != pending_.size()) {
    pending_[gap] = std::move(pending_.back());
    position_[pending_[gap].request] = gap;
  }
  pending_.pop_back();
}

std::vector<stream_tokens> token_outbox::take(std::uint64_t batch) {
  assert(!empty() && !under_way() && batch != 0);
  under_way_ = batch;
  position_.clear();
  return std::exchange(pending_, {});
}

} // namespace troupe
