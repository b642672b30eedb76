// SPDX-License-Identifier: Apache-2.0
#include "actors/worker/block_ledger.hpp"

#include <cassert>

namespace troupe {

block_ledger::block_ledger(std::uint32_t blocks) : blocks_(std::size_t{blocks} + 1) {
  blocks_[blocks].older = blocks_[blocks].newer = blocks;
  index_.reserve(blocks);
  reset_.reserve(blocks);
  for (auto b = blocks; b > 0; --b)
    reset_.push_back(b - 1);
}

std::optional<block_id> block_ledger::find(std::uint64_t key) const {
  const auto entry = index_.find(key);
  return entry == index_.end() ? std::nullopt : std::optional{entry->second};
}

std::optional<block_id> block_ledger::take() {
  block_id b = 0;
  if (!reset_.empty()) {
    b = reset_.back();
    reset_.pop_back();
  } else if (idle_ > 0) {
    b = blocks_.back().newer;
    unlink(b);
    index_.erase(blocks_[b].key);
  } else {
    return std::nullopt;
  }
  blocks_[b].state = block_state::partial;
  blocks_[b].references = 1;
  return b;
}

void block_ledger::hold(block_id b) {
  assert(blocks_[b].state == block_state::registered);
  if (blocks_[b].references++ == 0)
    unlink(b);
}

void block_ledger::drop(block_id b) {
  assert(blocks_[b].references > 0);
  if (--blocks_[b].references > 0)
    return;
  ++changes_;
  if (blocks_[b].state == block_state::registered)
    link_newest(b);
  else
    to_reset(b);
}

void block_ledger::complete(block_id b, std::optional<std::uint64_t> key) {
  auto& x = blocks_[b];
  assert(x.state == block_state::partial && x.references == 1);
  x.state = block_state::complete;
  if (!key || !index_.try_emplace(*key, b).second)
    return;
  x.state = block_state::registered;
  x.key = *key;
  ++changes_;
}

void block_ledger::quarantine(block_id b) {
  assert(blocks_[b].state == block_state::partial && blocks_[b].references == 1);
  blocks_[b].state = block_state::quarantined;
  blocks_[b].references = 0;
  ++quarantined_;
}

void block_ledger::readmit(block_id b) {
  assert(blocks_[b].state == block_state::quarantined);
  --quarantined_;
  ++changes_;
  to_reset(b);
}

void block_ledger::forget_contents() {
  while (idle_ > 0) {
    const auto b = blocks_.back().newer;
    unlink(b);
    index_.erase(blocks_[b].key);
    to_reset(b);
  }
}

void block_ledger::link_newest(block_id b) {
  auto& anchor = blocks_.back();
  blocks_[b].older = anchor.older;
  blocks_[b].newer = blocks();
  blocks_[anchor.older].newer = b;
  anchor.older = b;
  ++idle_;
}

void block_ledger::unlink(block_id b) {
  blocks_[blocks_[b].older].newer = blocks_[b].newer;
  blocks_[blocks_[b].newer].older = blocks_[b].older;
  --idle_;
}

void block_ledger::to_reset(block_id b) {
  blocks_[b].state = block_state::reset;
  reset_.push_back(b);
}

std::optional<std::string> block_ledger::check() const {
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
      const auto entry = index_.find(x.key);
      if (entry == index_.end() || entry->second != b)
        return name + " is registered, but its key does not lead to it";
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
