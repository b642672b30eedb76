// SPDX-License-Identifier: Apache-2.0
// The invariants, for tests.
#include <algorithm>
#include <map>

#include "actors/worker/scheduler_parts.hpp"

namespace troupe {

namespace {

std::optional<std::string> check_group(const block_ledger& group, const std::vector<std::uint32_t>& named,
                                       const std::vector<block_id>& quarantined) {
  if (auto broken = group.check())
    return broken;
  for (block_id b = 0; b < group.blocks(); ++b)
    if (named[b] != group.references(b))
      return "block " + std::to_string(b) + " has " + std::to_string(group.references(b))
             + " references, but is named by " + std::to_string(named[b]) + " tables";
  for (const auto b : quarantined)
    if (group.state(b) != block_state::quarantined)
      return "block " + std::to_string(b) + " left its quarantine early";
  if (quarantined.size() != group.quarantined_blocks())
    return "a block in quarantine belongs to no landing";
  return std::nullopt;
}

} // namespace

std::optional<std::string> scheduler::parts::check() const {
  if (auto broken = check_blocks())
    return broken;
  std::vector<std::uint32_t> slots(config.slots);
  const auto count = [&](const sequence& s) {
    if (s.slot)
      ++slots[s.slot->value];
  };
  std::size_t active = 0, queued = 0;
  for (const auto& [id, s] : sequences) {
    count(*s);
    if (auto broken = check_sequence(*s))
      return "request " + std::to_string(id.value) + ": " + *broken;
    active += s->state == sequence_state::running || s->state == sequence_state::draining;
    queued += s->state == sequence_state::waiting;
  }
  for (const auto& s : ended)
    count(*s);
  for (const auto slot : free_slots)
    ++slots[slot.value];
  if (std::ranges::any_of(slots, [](auto n) { return n != 1; }))
    return "a slot is lost, or given twice";
  if (active != running.size() || queued != waiting.size() || holders() > config.running_max
      || queued_count > config.queued_max || !std::ranges::is_sorted(running, sequence_order{}))
    return "a list of sequences is wrong";
  return check_flights();
}

/// References, quarantine and claims, in each group.
std::optional<std::string> scheduler::parts::check_blocks() const {
  std::vector<std::uint32_t> named(pool.blocks()), windows_named(windows.blocks());
  std::uint32_t claimed = 0;
  const auto count = [&](const sequence& s) {
    for (const auto b : s.table)
      ++named[b];
    for (auto i = s.slid_blocks; i < s.window_table.size(); ++i)
      ++windows_named.at(s.window_table[i]);
    claimed += s.window_claim;
  };
  for (const auto& [id, s] : sequences)
    count(*s);
  for (const auto& s : ended)
    count(*s);
  std::vector<block_id> quarantined, windows_quarantined;
  for (const auto& [id, q] : quarantine) {
    quarantined.insert(quarantined.end(), q.blocks.begin(), q.blocks.end());
    windows_quarantined.insert(windows_quarantined.end(), q.windows.begin(), q.windows.end());
  }
  if (auto broken = check_group(pool, named, quarantined))
    return broken;
  if (auto broken = check_group(windows, windows_named, windows_quarantined))
    return "sliding group: " + *broken;
  if (claimed != windows_claimed || windows_claimed + windows.quarantined_blocks() > windows.blocks())
    return "more blocks of the sliding group are claimed than there are, or they are miscounted";
  return std::nullopt;
}

/// What it holds in the sliding group.
std::optional<std::string> scheduler::parts::check_windows(const sequence& s) const {
  if (s.window_blocks() > s.window_claim)
    return "it holds more of the sliding group than it has a claim to";
  if (std::any_of(s.window_table.begin(), s.window_table.begin() + s.slid_blocks, [](auto b) { return b != no_block; }))
    return "it holds a block that slid out of its window";
  const auto first = first_window_block(s.state == sequence_state::landing ? s.length() : s.done);
  if (s.slid_blocks != std::min<std::size_t>(first, s.window_table.size()))
    return "it holds other blocks of the sliding group than its window";
  if (s.full_windows != s.full_blocks && (s.state != sequence_state::landing || s.full_windows > s.full_blocks))
    return "it has registered other blocks of the sliding group than of the full one";
  if (s.computed > s.window_table.size() * config.block_tokens)
    return "it computes beyond its blocks of the sliding group";
  return std::nullopt;
}

std::optional<std::string> scheduler::parts::check_sequence(const sequence& s) const {
  const auto reach = s.table.size() * config.block_tokens;
  const bool holds_nothing =
    s.table.empty() && s.window_table.empty() && s.window_claim == 0 && s.computed == 0 && s.steps_out == 0 && !s.slot;
  if (s.next_index != s.length() - s.request.prompt_tokens)
    return "its output has a gap or a repeat";
  if (s.done > s.computed || s.done > s.length() || s.computed > s.length() + s.samples_out)
    return "it computes what is not known";
  if (s.computed > reach || s.length() + s.samples_out > s.length_max)
    return "it reaches beyond its table or its limit";
  if (s.full_blocks * std::size_t{config.block_tokens} > s.done)
    return "a block is registered before it is computed";
  if (has_windows() && s.state != sequence_state::waiting)
    if (auto broken = check_windows(s))
      return broken;
  switch (s.state) {
    case sequence_state::waiting:
      return holds_nothing ? std::nullopt : std::optional<std::string>{"it waits, but holds something"};
    case sequence_state::running:
    case sequence_state::draining: return s.slot ? std::nullopt : std::optional<std::string>{"it runs without a slot"};
    case sequence_state::landing:
    case sequence_state::holding:
      return s.slot ? std::optional<std::string>{"it has a slot that it does not use"} : std::nullopt;
    case sequence_state::ended: break;
  }
  return "it has ended, but is known";
}

std::optional<std::string> scheduler::parts::check_flights() const {
  std::map<const sequence*, std::pair<std::uint32_t, std::uint32_t>> out;
  for (const auto& s : ended)
    out[s.get()] = {};
  for (const auto& [id, s] : sequences)
    out[s.get()] = {};
  for (const auto& f : flights)
    for (const auto& row : f.rows) {
      if (!out.contains(row.owner))
        return "a step in flight has a row of a sequence that is gone";
      ++out[row.owner].first;
      out[row.owner].second += row.draws;
      const auto& table = row.owner->table;
      if (blocks_of(row.end) > table.size())
        return "blocks of a step in flight were taken from their sequence";
      for (auto i = row.begin / config.block_tokens; i < blocks_of(row.end); ++i)
        if (pool.state(table[i]) != block_state::partial)
          return "a step in flight writes into block " + std::to_string(table[i]) + ", which is not its own";
      if (!has_windows())
        continue;
      const auto& window = row.owner->window_table;
      if (blocks_of(row.end) > window.size() || row.owner->slid_blocks > first_window_block(row.begin))
        return "blocks of the sliding group that a step in flight uses were taken from their sequence";
      for (auto i = row.begin / config.block_tokens; i < blocks_of(row.end); ++i)
        if (windows.state(window[i]) != block_state::partial)
          return "a step in flight writes into block " + std::to_string(window[i])
                 + " of the sliding group, which is not its own";
    }
  for (const auto& [s, count] : out)
    if (count != std::pair{s->steps_out, s->samples_out})
      return "a sequence miscounts its rows in flight";
  for (const auto& s : ended)
    if (s->steps_out == 0)
      return "an ended sequence still holds its blocks";
  return std::nullopt;
}

} // namespace troupe
