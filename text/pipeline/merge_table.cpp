// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/merge_table.hpp"

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
  : slots_(std::bit_ceil(merges.size() + merges.size() / 4 + 2), empty), shift_(64 - std::countr_zero(slots_.size())),
    // Of one more than the largest, so that no slot in use is all ones.
    symbol_bits_(static_cast<int>(std::bit_width(symbols))),
    index_bits_(static_cast<int>(std::bit_width(merges.size()))), filter_(std::bit_ceil(merges.size() / 8 + 2)),
    filter_shift_(64 - std::countr_zero(filter_.size())), result_offset_(find_result_offset(merges)) {
  assert(fits(symbols, merges.size()));
  if (!result_offset_)
    outcomes_.reserve(merges.size());
  for (std::size_t i = 0; i < merges.size(); ++i) {
    if (!result_offset_)
      outcomes_.push_back(packed{merges[i].rank} << 32 | merges[i].result);
    insert(merges[i], result_offset_ ? merges[i].rank : i);
  }
}

void merge_table::insert(const bpe_merge& merge, std::uint64_t index) {
  const auto p = start(merge.left, merge.right);
  filter_[p.hash >> filter_shift_] |= std::uint64_t{1} << (p.hash >> 20 & 63);
  auto i = static_cast<std::size_t>(p.hash >> shift_);
  while (slots_[i] != empty && slots_[i] >> index_bits_ != p.pair)
    i = (i + 1) & (slots_.size() - 1);
  if (slots_[i] == empty)
    slots_[i] = p.pair << index_bits_ | index;
}

} // namespace troupe::text
