// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "messages/ids.hpp"

namespace troupe {

/// Hash of a chain of blocks: of the chain before its last block (nothing for the first) and that
/// block's tokens.
using sequence_hasher = std::uint64_t (*)(std::optional<std::uint64_t> parent, std::span<const token_id> tokens);

/// What a block holds.
///
///   reset ──take──> partial ──complete──> registered ──evict──> partial (of its new owner)
///     ^                │  └──complete──> complete (equal content is registered elsewhere)
///     └──────drop──────┴────────drop───────┘
///   partial ──quarantine──> quarantined ──readmit──> reset
enum class block_state : std::uint8_t {
  /// Nothing of worth; free.
  reset,
  /// Being filled for its one holder.
  partial,
  /// Full, but another block is registered for this content or this hash.
  complete,
  /// Full and found by find(); free, if nobody holds it, until it is evicted.
  registered,
  /// Nobody holds it, yet a remote writer may still write into it.
  quarantined,
};

/// Names what a registered block and all blocks before it hold; never given twice.
using content_id = std::uint64_t;

/// The KV blocks of one worker: reference counts, prefix lookup, LRU of what nobody holds.
///
/// Knows no sequence. Bounds: `blocks` records and their tokens, allocated once; the index has at most
/// one entry per block. Every operation is O(1) but find() and check().
class block_pool {
public:
  /// The content before a sequence's first block.
  static constexpr content_id root_content = 1;
  /// Of a block that could not be registered because its hash is taken by other tokens.
  static constexpr content_id no_content = 0;

  /// REQUIRES: block_tokens > 0
  block_pool(std::uint32_t blocks, std::uint32_t block_tokens, sequence_hasher hasher);

  std::uint32_t blocks() const { return static_cast<std::uint32_t>(blocks_.size() - 1); }
  std::uint32_t block_tokens() const { return block_tokens_; }
  /// Blocks that take() can give: those with a reference count of zero, cached ones included.
  std::uint32_t free_blocks() const { return static_cast<std::uint32_t>(reset_.size()) + idle_; }
  std::uint32_t quarantined_blocks() const { return quarantined_; }
  std::uint32_t references(block_id b) const { return blocks_[b].references; }
  block_state state(block_id b) const { return blocks_[b].state; }
  /// no_content unless it is registered.
  content_id content(block_id b) const { return blocks_[b].content; }
  /// Changes whenever more blocks may be free, or more content may be found, than before.
  std::uint64_t changes() const { return changes_; }

  std::uint64_t hash(std::optional<std::uint64_t> parent, std::span<const token_id> tokens) const {
    return hasher_(parent, tokens);
  }

  /// The longest run of registered blocks that hold the first hashes.size() blocks of `tokens`, in
  /// order. Hashes collide: every block's tokens and predecessors are compared too. Holds nothing.
  /// REQUIRES: hashes.size() * block_tokens <= tokens.size()
  std::vector<block_id> find(std::span<const token_id> tokens, std::span<const std::uint64_t> hashes) const;

  /// A block for one new holder: a reset one, else the least recently held registered one, which is
  /// forgotten. Nothing if free_blocks() is 0.
  std::optional<block_id> take();
  /// One more holder of a registered block.
  void hold(block_id);
  /// One holder less. Drop a table from its end, so that a chain is evicted from its end.
  void drop(block_id);

  /// A partial block is full and computed: registers it unless its hash is taken. Returns the name
  /// of its content, to be the parent of the next block, even if an equal block has the entry.
  content_id complete(block_id, std::span<const token_id> tokens, std::uint64_t hash, content_id parent);

  /// Takes a partial block from its only holder and keeps it from everybody else.
  void quarantine(block_id);
  void readmit(block_id);

  /// Forgets the content of registered blocks that nobody holds.
  void forget_contents();

  /// A sentence about the first broken invariant, or nothing.
  std::optional<std::string> check() const;

private:
  struct block {
    std::uint64_t hash = 0;
    content_id content = no_content;
    content_id parent = no_content;
    std::uint32_t references = 0;
    block_state state = block_state::reset;
    // Neighbours in the LRU ring, while registered and not held.
    block_id older = 0;
    block_id newer = 0;
  };

  std::span<const token_id> stored(block_id b) const {
    return std::span{tokens_}.subspan(std::size_t{b} * block_tokens_, block_tokens_);
  }
  bool holds(block_id, std::span<const token_id> tokens, content_id parent) const;
  void link_newest(block_id);
  void unlink(block_id);
  void forget(block_id);
  void to_reset(block_id);

  std::uint32_t block_tokens_;
  sequence_hasher hasher_;
  /// One per block, then the LRU ring's anchor: its `newer` is the oldest, its `older` the newest.
  std::vector<block> blocks_;
  /// Tokens of registered blocks, block after block.
  std::vector<token_id> tokens_;
  std::unordered_map<std::uint64_t, block_id> index_;
  std::vector<block_id> reset_;
  /// Length of the LRU ring.
  std::uint32_t idle_ = 0;
  std::uint32_t quarantined_ = 0;
  content_id last_content_ = root_content;
  std::uint64_t changes_ = 0;
};

/// The number of blocks that hold `tokens` tokens.
constexpr std::uint32_t blocks_for(std::uint64_t tokens, std::uint32_t block_tokens) {
  return static_cast<std::uint32_t>((tokens + block_tokens - 1) / block_tokens);
}

} // namespace troupe
