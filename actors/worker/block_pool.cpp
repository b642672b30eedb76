// SPDX-License-Identifier: Apache-2.0
#include "actors/worker/block_pool.hpp"

#include <algorithm>
#include <cassert>

namespace troupe {

block_pool::block_pool(std::uint32_t blocks, std::uint32_t block_tokens, sequence_hasher hasher)
  : block_ledger{blocks}, block_tokens_{block_tokens}, hasher_{hasher}, contents_(blocks),
    tokens_(std::size_t{blocks} * block_tokens) {
  assert(block_tokens > 0);
}

bool block_pool::holds(block_id b, std::span<const token_id> tokens, content_id parent) const {
  return contents_[b].parent == parent && std::ranges::equal(stored(b), tokens);
}

std::vector<block_id> block_pool::find(std::span<const token_id> tokens, std::span<const std::uint64_t> hashes) const {
  assert(hashes.size() * block_tokens_ <= tokens.size());
  std::vector<block_id> found;
  auto parent = root_content;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    const auto b = block_ledger::find(hashes[i]);
    if (!b || !holds(*b, tokens.subspan(i * block_tokens_, block_tokens_), parent))
      break;
    found.push_back(*b);
    parent = contents_[*b].id;
  }
  return found;
}

content_id block_pool::complete(block_id b, std::span<const token_id> tokens, std::uint64_t hash, content_id parent) {
  assert(tokens.size() == block_tokens_);
  block_ledger::complete(b, parent == no_content ? std::nullopt : std::optional{hash});
  if (parent == no_content)
    return no_content;
  if (state(b) != block_state::registered) {
    const auto other = block_ledger::find(hash);
    return holds(*other, tokens, parent) ? contents_[*other].id : no_content;
  }
  std::ranges::copy(tokens, tokens_.begin() + std::ptrdiff_t{b} * block_tokens_);
  contents_[b] = {++last_content_, parent};
  return last_content_;
}

} // namespace troupe
