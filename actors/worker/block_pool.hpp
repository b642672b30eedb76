// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "actors/worker/block_ledger.hpp"
#include "messages/ids.hpp"

namespace troupe {

/// Hash of a chain of blocks: of the chain before its last block (nothing for the first) and that
/// block's tokens.
using sequence_hasher = std::uint64_t (*)(std::optional<std::uint64_t> parent, std::span<const token_id> tokens);

/// Names what a registered block and all blocks before it hold; never given twice.
using content_id = std::uint64_t;

/// The blocks of a full cache group, found by the tokens that they and all before them hold.
///
/// Their key is the sequence hash. Every operation is O(1) but find(), forget_contents() and check().
class block_pool : public block_ledger {
public:
  /// The content before a sequence's first block.
  static constexpr content_id root_content = 1;
  /// Of a block that could not be registered because its hash is taken by other tokens.
  static constexpr content_id no_content = 0;

  /// REQUIRES: block_tokens > 0
  block_pool(std::uint32_t blocks, std::uint32_t block_tokens, sequence_hasher hasher);

  std::uint32_t block_tokens() const { return block_tokens_; }
  /// no_content unless it is registered.
  content_id content(block_id b) const { return state(b) == block_state::registered ? contents_[b].id : no_content; }

  std::uint64_t hash(std::optional<std::uint64_t> parent, std::span<const token_id> tokens) const {
    return hasher_(parent, tokens);
  }

  /// The longest run of registered blocks that hold the first hashes.size() blocks of `tokens`, in
  /// order. Hashes collide: every block's tokens and predecessors are compared too. Holds nothing.
  /// REQUIRES: hashes.size() * block_tokens <= tokens.size()
  std::vector<block_id> find(std::span<const token_id> tokens, std::span<const std::uint64_t> hashes) const;

  /// A partial block is full and computed: registers it unless its hash is taken. Returns the name
  /// of its content, to be the parent of the next block, even if an equal block has the entry.
  content_id complete(block_id, std::span<const token_id> tokens, std::uint64_t hash, content_id parent);

private:
  /// Of a registered block.
  struct content_names {
    content_id id = no_content;
    content_id parent = no_content;
  };

  std::span<const token_id> stored(block_id b) const {
    return std::span{tokens_}.subspan(std::size_t{b} * block_tokens_, block_tokens_);
  }
  bool holds(block_id, std::span<const token_id> tokens, content_id parent) const;

  std::uint32_t block_tokens_;
  sequence_hasher hasher_;
  std::vector<content_names> contents_;
  /// Tokens of registered blocks, block after block.
  std::vector<token_id> tokens_;
  content_id last_content_ = root_content;
};

/// The number of blocks that hold `tokens` tokens.
constexpr std::uint32_t blocks_for(std::uint64_t tokens, std::uint32_t block_tokens) {
  return static_cast<std::uint32_t>((tokens + block_tokens - 1) / block_tokens);
}

} // namespace troupe
