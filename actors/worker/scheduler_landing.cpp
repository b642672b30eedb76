// SPDX-License-Identifier: Apache-2.0
// Sequences whose prompt is computed elsewhere and lands here.
#include <algorithm>

#include "actors/worker/scheduler_parts.hpp"

namespace troupe {

sequence* scheduler::parts::find_landing(request_id id) const {
  const auto found = sequences.find(id);
  if (found == sequences.end() || found->second->state != sequence_state::landing)
    return nullptr;
  return found->second.get();
}

void scheduler::parts::landed(request_id id, const sampled_token& first, std::uint32_t cached_tokens,
                              scheduler_events& events) {
  auto* s = find_landing(id);
  if (s == nullptr)
    return;
  s->cached_tokens = std::min(cached_tokens, s->request.prompt_tokens);
  s->computed = s->done = s->length();
  s->prefilling = false;
  complete_landed_windows(*s, s->full_blocks);
  register_full_blocks(*s);
  unlist(*s);
  // Should it be preempted, its prompt is computed here.
  s->request.mode = sequence_mode::aggregated;
  run(*s);
  accept(*s, first, events);
}

/// It waits again, as if it had been preempted; what is valid is found in the cache when it starts.
void scheduler::parts::landing_broken(request_id id, std::uint32_t valid_tokens, landing_writer writer) {
  auto* s = find_landing(id);
  if (s == nullptr)
    return;
  const auto valid = std::min(valid_tokens, s->length());
  complete_landed_windows(*s, valid / config.block_tokens);
  if (valid > s->done) {
    s->done = valid;
    register_full_blocks(*s);
  }
  if (writer == landing_writer::may_still_write)
    quarantine_missing(*s);
  s->request.mode = sequence_mode::aggregated;
  requeue(*s);
}

/// Moves the blocks that the writer may still write into from the table into quarantine.
void scheduler::parts::quarantine_missing(sequence& s) {
  const auto landed_windows = std::max(s.full_windows, s.slid_blocks);
  if (s.table.size() == s.full_blocks && s.window_table.size() <= landed_windows)
    return;
  auto& [blocks, window_blocks] = quarantine[s.request.id];
  for (; s.table.size() > s.full_blocks; s.table.pop_back()) {
    pool.quarantine(s.table.back());
    blocks.push_back(s.table.back());
  }
  for (; s.window_table.size() > landed_windows; s.window_table.pop_back()) {
    windows.quarantine(s.window_table.back());
    window_blocks.push_back(s.window_table.back());
  }
}

void scheduler::parts::release_landing(request_id id) {
  const auto node = quarantine.extract(id);
  if (node.empty())
    return;
  for (const auto b : node.mapped().blocks)
    pool.readmit(b);
  for (const auto b : node.mapped().windows)
    windows.readmit(b);
}

} // namespace troupe
