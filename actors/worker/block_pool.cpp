// SPDX-License-Identifier: Apache-2.0
#include "actors/worker/block_pool.hpp"

#include <algorithm>
#include <cassert>

namespace troupe {

block_pool::block_pool(std::uint32_t blocks, std::uint32_t block_tokens, sequence_hasher hasher)
  : block_tokens_{block_tokens}, hasher_{hasher}, blocks_(std::size_t{blocks} + 1),
    tokens_(std::size_t{blocks} * block_tokens) {
  assert(block_tokens > 0);
  blocks_[blocks].older = blocks_[blocks].newer = blocks;
  index_.reserve(blocks);
  reset_.reserve(blocks);
  for (auto b = blocks; b > 0; --b)
    reset_.push_back(b - 1);
}

bool block_pool::holds(block_id b, std::span<const token_id> tokens, content_id parent) const {
  return blocks_[b].parent == parent && std::ranges::equal(stored(b), tokens);
}

std::vector<block_id> block_pool::find(std::span<const token_id> tokens, std::span<const std::uint64_t> hashes) const {
  assert(hashes.size() * block_tokens_ <= tokens.size());
  std::vector<block_id> found;
  auto parent = root_content;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    const auto entry = index_.find(hashes[i]);
    if (entry == index_.end() || !holds(entry->second, tokens.subspan(i * block_tokens_, block_tokens_), parent))
      break;
    found.push_back(entry->second);
    parent = blocks_[entry->second].content;
  }
  return found;
}

std::optional<block_id> block_pool::take() {
  block_id b = 0;
  if (!reset_.empty()) {
    b = reset_.back();
    reset_.pop_back();
  } else if (idle_ > 0) {
    b = blocks_.back().newer;
    unlink(b);
    forget(b);
  } else {
    return std::nullopt;
  }
  blocks_[b].state = block_state::partial;
  blocks_[b].references = 1;
  return b;
}

void block_pool::hold(block_id b) {
  assert(blocks_[b].state == block_state::registered);
  if (blocks_[b].references++ == 0)
    unlink(b);
}

void block_pool::drop(block_id b) {
  assert(blocks_[b].references > 0);
  if (--blocks_[b].references > 0)
    return;
  ++changes_;
  if (blocks_[b].state == block_state::registered)
    link_newest(b);
  else
    to_reset(b);
}

content_id block_pool::complete(block_id b, std::span<const token_id> tokens, std::uint64_t hash, content_id parent) {
  auto& x = blocks_[b];
  assert(x.state == block_state::partial && x.references == 1 && tokens.size() == block_tokens_);
  x.state = block_state::complete;
  if (parent == no_content)
    return no_content;
  const auto [entry, is_new] = index_.try_emplace(hash, b);
  if (!is_new)
    return holds(entry->second, tokens, parent) ? blocks_[entry->second].content : no_content;
  std::ranges::copy(tokens, tokens_.begin() + std::ptrdiff_t{b} * block_tokens_);
  x.state = block_state::registered;
  x.hash = hash;
  x.parent = parent;
  x.content = ++last_content_;
  ++changes_;
  return x.content;
}

void block_pool::quarantine(block_id b) {
  assert(blocks_[b].state == block_state::partial && blocks_[b].references == 1);
  blocks_[b].state = block_state::quarantined;
  blocks_[b].references = 0;
  ++quarantined_;
}

void block_pool::readmit(block_id b) {
  assert(blocks_[b].state == block_state::quarantined);
  --quarantined_;
  ++changes_;
  to_reset(b);
}

void block_pool::forget_contents() {
  while (idle_ > 0) {
    const auto b = blocks_.back().newer;
    unlink(b);
    forget(b);
    to_reset(b);
  }
}

void block_pool::link_newest(block_id b) {
  auto& anchor = blocks_.back();
  blocks_[b].older = anchor.older;
  blocks_[b].newer = blocks();
  blocks_[anchor.older].newer = b;
  anchor.older = b;
  ++idle_;
}

void block_pool::unlink(block_id b) {
  blocks_[blocks_[b].older].newer = blocks_[b].newer;
  blocks_[blocks_[b].newer].older = blocks_[b].older;
  --idle_;
}

void block_pool::forget(block_id b) {
  index_.erase(blocks_[b].hash);
  blocks_[b].content = blocks_[b].parent = no_content;
}

void block_pool::to_reset(block_id b) {
  blocks_[b].state = block_state::reset;
  reset_.push_back(b);
}

std::optional<std::string> block_pool::check() const {
  std::uint32_t held = 0, registered = 0, quarantined = 0, reset = 0, idle = 0;
  for (block_id b = 0; b < blocks(); ++b) {
    const auto& x = blocks_[b];
    const auto name = "block " + std::to_string(b);
    held += x.references > 0;
    quarantined += x.state == block_state::quarantined;
    reset += x.state == block_state::reset;
    registered += x.state == block_state::registered;
    if (x.references > 1 && x.state != block_state::registered)
      return name + " has more than one holder, but is not registered";
    if (x.references == 0 && (x.state == block_state::partial || x.state == block_state::complete))
      return name + " is lost: nobody holds it, and it is not free";
    if (x.references > 0 && (x.state == block_state::reset || x.state == block_state::quarantined))
      return name + " is held, but free or in quarantine";
    if (x.state == block_state::registered) {
      const auto entry = index_.find(x.hash);
      if (entry == index_.end() || entry->second != b)
        return name + " is registered, but its hash does not lead to it";
    }
  }
  for (auto b = blocks_.back().newer; b != blocks(); b = blocks_[b].newer)
    if (++idle > idle_ || blocks_[b].references > 0 || blocks_[b].state != block_state::registered)
      return "the LRU ring names block " + std::to_string(b) + ", which is not idle";
  if (idle != idle_ || reset != reset_.size() || quarantined != quarantined_ || registered != index_.size())
    return "a count of idle, reset, quarantined or registered blocks is wrong";
  if (free_blocks() + held + quarantined_ != blocks())
    return "free, held and quarantined blocks are not all blocks";
  return std::nullopt;
}

} // namespace troupe
