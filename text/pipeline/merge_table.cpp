// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/merge_table.hpp"

#include <algorithm>
#include <cassert>

namespace troupe::text {

namespace {

/// What results have more than ranks, if it is the same of all.
std::optional<token_id> find_result_offset(const std::vector<bpe_merge>& merges) {
  for (const auto& m : merges)
    if (m.rank >= merges.size() || m.result - m.rank != merges[0].result - merges[0].rank)
      return std::nullopt;
  return merges.empty() ? 0 : merges[0].result - merges[0].rank;
}

} // namespace

merge_table::merge_table(const std::vector<bpe_merge>& merges, std::size_t symbols)
  : slot_mask_(std::bit_ceil(merges.size() + merges.size() / 4 + 2) - 1), shift_(std::countl_zero(slot_mask_)),
    // Of one more than the largest, so that no slot in use is all ones.
    symbol_bits_(static_cast<int>(std::bit_width(symbols))),
    index_bits_(static_cast<int>(std::bit_width(merges.size()))), filter_(std::bit_ceil(merges.size() / 8 + 2)),
    filter_shift_(64 - std::countr_zero(filter_.size())), result_offset_(find_result_offset(merges)) {
  assert(fits(symbols, merges.size()));
  slots_.resize(slot_mask_ + 2, empty);
  if (!result_offset_)
    for (const auto& m : merges)
      outcomes_.push_back(packed{m.rank} << 32 | m.result);
  const auto index_of = [&](std::size_t i) { return result_offset_ ? merges[i].rank : i; };
  // The lowest ranks first: they are what texts need most, and are found in the slots where the search begins. Of two
  // merges of one pair the first of the list counts.
  if (!merges.empty() && merges.front().rank > merges.back().rank)
    for (auto i = merges.size(); i-- > 0;)
      insert(merges[i], index_of(i), same_pair::replaces);
  else
    for (std::size_t i = 0; i < merges.size(); ++i)
      insert(merges[i], index_of(i), same_pair::stays);
}

void merge_table::insert(const bpe_merge& merge, std::uint64_t index, same_pair again) {
  const auto pair = std::uint64_t{merge.left} << symbol_bits_ | merge.right;
  const auto hash = pair * multiplier;
  filter_[hash >> filter_shift_] |= filter_bits(hash);
  auto i = hash >> shift_;
  while (slots_[i] != empty && slots_[i] >> index_bits_ != pair)
    i = (i + 1) & slot_mask_;
  if (slots_[i] == empty || again == same_pair::replaces)
    slots_[i] = pair << index_bits_ | index;
}

} // namespace troupe::text
