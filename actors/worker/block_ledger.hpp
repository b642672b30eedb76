// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "messages/ids.hpp"

namespace troupe {

/// What a block holds.
///
///   reset ──take──> partial ──complete──> registered ──evict──> partial (of its new owner)
///     ^                │  └──complete──> complete (its key is taken, or it has none)
///     └──────drop──────┴────────drop───────┘
///   partial ──quarantine──> quarantined ──readmit──> reset
enum class block_state : std::uint8_t {
  /// Nothing of worth; free.
  reset,
  /// Being filled for its one holder.
  partial,
  /// Full, but another block is registered under its key.
  complete,
  /// Full and found under its key; free, if nobody holds it, until it is evicted.
  registered,
  /// Nobody holds it, yet a remote writer may still write into it.
  quarantined,
};

/// The KV blocks of one cache group: reference counts, an index of those that are full, LRU of what nobody holds.
///
/// Knows no sequence, and not what a key means. Bounds: `blocks` records, allocated once; the index has at most one
/// entry per block. Every operation but forget_contents() and check() is O(1).
class block_ledger {
public:
  explicit block_ledger(std::uint32_t blocks);

  std::uint32_t blocks() const { return static_cast<std::uint32_t>(blocks_.size() - 1); }
  /// Blocks that take() can give: those with a reference count of zero, cached ones included.
  std::uint32_t free_blocks() const { return static_cast<std::uint32_t>(reset_.size()) + idle_; }
  std::uint32_t quarantined_blocks() const { return quarantined_; }
  std::uint32_t references(block_id b) const { return blocks_[b].references; }
  block_state state(block_id b) const { return blocks_[b].state; }
  /// Changes whenever more blocks may be free, or more may be found, than before.
  std::uint64_t changes() const { return changes_; }

  /// The block that is registered under a key.
  std::optional<block_id> find(std::uint64_t key) const;

  /// A block for one new holder: a reset one, else the least recently held registered one, which is
  /// forgotten. Nothing if free_blocks() is 0.
  std::optional<block_id> take();
  /// One more holder of a registered block.
  void hold(block_id);
  /// One holder less. Drop a table from its end, so that a chain is evicted from its end.
  void drop(block_id);

  /// A partial block is full and computed: registers it under its key, unless that is taken or there is none.
  void complete(block_id, std::optional<std::uint64_t> key);

  /// Takes a partial block from its only holder and keeps it from everybody else.
  void quarantine(block_id);
  void readmit(block_id);

  /// Forgets registered blocks that nobody holds.
  void forget_contents();

  /// A sentence about the first broken invariant, or nothing.
  std::optional<std::string> check() const;

private:
  struct block {
    std::uint64_t key = 0;
    std::uint32_t references = 0;
    block_state state = block_state::reset;
    // Neighbours in the LRU ring, while registered and not held.
    block_id older = 0;
    block_id newer = 0;
  };

  void link_newest(block_id);
  void unlink(block_id);
  void to_reset(block_id);

  /// One per block, then the LRU ring's anchor: its `newer` is the oldest, its `older` the newest.
  std::vector<block> blocks_;
  std::unordered_map<std::uint64_t, block_id> index_;
  std::vector<block_id> reset_;
  /// Length of the LRU ring.
  std::uint32_t idle_ = 0;
  std::uint32_t quarantined_ = 0;
  std::uint64_t changes_ = 0;
};

} // namespace troupe
