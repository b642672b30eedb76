// SPDX-License-Identifier: Apache-2.0
// Blocks of the sliding group: taken as positions are scheduled, given back when no position to be computed sees them.
//
// So that sequences which prefill together never wait for each other's blocks for ever, each has a claim: what it is
// sure to get. Claims never add up to more than there is, so a sequence without a step in flight can always go on.
#include <algorithm>

#include "actors/worker/scheduler_parts.hpp"

namespace troupe {

std::uint32_t scheduler::parts::first_window_block(std::uint32_t position) const {
  return gpu::first_visible_block(position, config.window_tokens, config.block_tokens);
}

std::uint32_t scheduler::parts::unclaimed_windows() const {
  const auto taken = windows_claimed + windows.quarantined_blocks();
  return windows.blocks() - std::min(windows.blocks(), taken);
}

/// As headroom(): of the sequences that may soon claim more.
std::uint32_t scheduler::parts::window_headroom() const {
  return static_cast<std::uint32_t>(std::ranges::count_if(running, [this](const sequence* s) {
    return s->request.mode != sequence_mode::prefill_only && s->window_claim < window_share(config);
  }));
}

std::uint32_t scheduler::parts::window_claim_of(std::uint32_t tokens) const {
  return has_windows() ? std::min(blocks_of(tokens), window_share(config)) : 0;
}

void scheduler::parts::claim_windows(sequence& s, std::uint32_t blocks) {
  windows_claimed += blocks - s.window_claim;
  s.window_claim = blocks;
}

/// How many of the blocks that were found in the full group can be used: as many as have all in the sliding group that
/// the first token after them sees.
std::uint32_t scheduler::parts::usable_prefix(const std::vector<block_id>& found) const {
  const auto all = static_cast<std::uint32_t>(found.size());
  if (!has_windows())
    return all;
  std::uint32_t usable = 0;
  std::uint32_t first = 0; // of the blocks that were found in the sliding group up to here without a gap
  for (std::uint32_t count = 1; count <= all; ++count) {
    if (!windows.find(pool.content(found[count - 1])))
      first = count;
    if (first <= first_window_block(count * config.block_tokens))
      usable = count;
  }
  return usable;
}

/// REQUIRES: it has its table, of which the first `found_blocks` were found
void scheduler::parts::start_windows(sequence& s, std::uint32_t found_blocks) {
  const bool lands = s.request.mode == sequence_mode::landing;
  s.slid_blocks = first_window_block(lands ? s.length() : s.done);
  s.window_table.assign(s.slid_blocks, no_block);
  s.full_windows = found_blocks;
  for (auto i = s.slid_blocks; i < found_blocks; ++i) {
    const auto b = windows.find(pool.content(s.table[i]));
    if (!b) { // it lands
      s.full_windows = i;
      break;
    }
    s.window_table.push_back(*b);
    windows.hold(*b);
  }
  if (lands)
    take_windows(s, blocks_of(s.length()));
}

/// Gives it blocks up to the `blocks`th of its table, if it has a claim to them or nobody else has.
bool scheduler::parts::take_windows(sequence& s, std::uint32_t blocks) {
  if (blocks > s.slid_blocks + s.window_claim) {
    if (blocks - s.slid_blocks - s.window_claim > unclaimed_windows())
      return false;
    claim_windows(s, blocks - s.slid_blocks);
  }
  while (s.window_table.size() < blocks)
    s.window_table.push_back(*windows.take());
  return true;
}

/// Up to which position a prefill can go with the blocks that it can get, `end` at most.
std::uint32_t scheduler::parts::reach_of_windows(const sequence& s, std::uint32_t end) const {
  const auto unclaimed = unclaimed_windows();
  const auto blocks = s.slid_blocks + s.window_claim + unclaimed - std::min(unclaimed, window_headroom());
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(end, std::uint64_t{blocks} * config.block_tokens));
}

/// The next block of its table is full and computed, and the full group's has that content.
void scheduler::parts::complete_window(sequence& s, content_id content) {
  if (s.full_windows >= s.slid_blocks)
    windows.complete(s.window_table[s.full_windows],
                     content == block_pool::no_content ? std::nullopt : std::optional{content});
  ++s.full_windows;
}

/// The same for those up to the `blocks`th that landed beside blocks of the full group which were found.
void scheduler::parts::complete_landed_windows(sequence& s, std::uint32_t blocks) {
  if (!has_windows())
    return;
  while (s.full_windows < std::min(blocks, s.full_blocks))
    complete_window(s, pool.content(s.table[s.full_windows]));
}

/// Gives back what neither its next position nor one in a step in flight sees: those are not before `done`. It stays
/// registered until it is evicted.
void scheduler::parts::slide(sequence& s) {
  const auto first = std::min(first_window_block(s.done), static_cast<std::uint32_t>(s.window_table.size()));
  for (; s.slid_blocks < first; ++s.slid_blocks) {
    windows.drop(s.window_table[s.slid_blocks]);
    s.window_table[s.slid_blocks] = no_block;
  }
  claim_windows(s, std::max(s.window_blocks(), std::min(s.window_claim, window_share(config))));
}

void scheduler::parts::drop_windows(sequence& s) {
  for (; s.window_table.size() > s.slid_blocks; s.window_table.pop_back())
    windows.drop(s.window_table.back());
  s.window_table.clear();
  s.slid_blocks = s.full_windows = 0;
  claim_windows(s, 0);
}

/// Entries of its table from `begin` to `end` - 1 that the token after all that are known sees.
block_run scheduler::parts::windows_between(const sequence& s, std::uint32_t begin, std::uint32_t end) const {
  if (!has_windows())
    return {};
  const auto first = std::min(end, std::max(begin, first_window_block(s.length())));
  return {first, {s.window_table.begin() + first, s.window_table.begin() + end}};
}

} // namespace troupe
