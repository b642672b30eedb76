// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>

#include "actors/worker/block_pool.hpp"
#include "actors/worker/scheduler.hpp"

namespace troupe {

/// Where a sequence is in its life.
///
///   waiting ──> running ──> ended
///      │  ^        │ ^  └──> holding ──> ended      (prefill_only)
///      │  └─draining │
///      │  └──────── landing                          (broken: prefilled here)
///      └──────────> landing ──> running
enum class sequence_state : std::uint8_t {
  /// Holds nothing.
  waiting,
  /// Its blocks are being filled from outside.
  landing,
  /// Has rows in steps.
  running,
  /// Preempted while steps of it are in flight; it waits again once they are back.
  draining,
  /// Its prompt is computed, and its blocks are being pushed.
  holding,
  /// Forgotten, except for the blocks that steps in flight use.
  ended,
};

/// A sequence inside a scheduler. The request's own token list is empty: `tokens` continues it.
struct sequence {
  sequence_request request;
  std::uint64_t arrival = 0;
  sequence_state state = sequence_state::waiting;
  /// All tokens known: prompt, then output.
  std::vector<token_id> tokens;
  /// Most tokens that it may come to have, by its own limit and the context's end.
  std::uint32_t length_max = 0;
  /// Blocks of positions 0 … ; may reach further than `computed`.
  std::vector<block_id> table;
  /// The same in the sliding group, if there is one: no_block before slid_blocks.
  std::vector<block_id> window_table;
  /// Leading entries of window_table that no position to be computed sees.
  std::uint32_t slid_blocks = 0;
  /// Leading entries of window_table that are full and computed, or slid out. In a landing it may be less than
  /// full_blocks, else it is the same.
  std::uint32_t full_windows = 0;
  /// Blocks of the sliding group that it is sure to get, those that it holds included.
  std::uint32_t window_claim = 0;
  /// Sequence hashes of leading blocks, as far as somebody asked for them.
  std::vector<std::uint64_t> hashes;
  /// Leading entries of the table that are full and computed.
  std::uint32_t full_blocks = 0;
  /// What those hold.
  content_id content = block_pool::root_content;
  /// Leading entries of the table that were found in the cache when it was filled.
  std::uint32_t found_blocks = 0;
  /// Positions whose KV is computed, or will be by a step in flight.
  std::uint32_t computed = 0;
  /// Positions whose KV is computed.
  std::uint32_t done = 0;
  /// Rows in steps in flight, and those among them that draw a token.
  std::uint32_t steps_out = 0;
  std::uint32_t samples_out = 0;
  /// The row that draws the next token; meaningful if samples_out > 0.
  gpu::sampled_by last_sample;
  /// The last step with a row of it.
  std::uint64_t last_step = 0;
  std::optional<slot_id> slot;
  bool slot_is_open = false;
  /// Known tokens are left to be scheduled before the next one can be drawn.
  bool prefilling = true;
  /// It held blocks once; its time in the queue is over.
  bool started = false;
  std::uint32_t cached_tokens = 0;
  /// Index of the next token event.
  std::uint32_t next_index = 0;
  /// prefill_only: table entries that were reported as computed.
  std::uint32_t reported_blocks = 0;

  std::uint32_t window_blocks() const { return static_cast<std::uint32_t>(window_table.size()) - slid_blocks; }
  std::uint32_t length() const { return static_cast<std::uint32_t>(tokens.size()); }
  std::uint32_t left_to_prefill() const { return prefilling ? length() - computed : 0; }
  /// Whether another token may be drawn, those in flight counted.
  bool wants_token() const { return length() + samples_out < length_max; }
};

/// Who comes first: priority, then arrival.
struct sequence_order {
  bool operator()(const sequence* a, const sequence* b) const {
    return std::tie(a->request.priority, a->arrival) < std::tie(b->request.priority, b->arrival);
  }
};

} // namespace troupe
