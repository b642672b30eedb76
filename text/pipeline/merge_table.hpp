// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "messages/ids.hpp"
#include "text/tokenizer_description.hpp"

namespace troupe::text {

/// (left, right) to the rank and the result of their merge; open addressing, because this look-up is most of the
/// time that encoding a new word takes.
class merge_table {
public:
  /// Rank in the high half, result in the low one: the merge that applies first is the smallest.
  using packed = std::uint64_t;
  static constexpr packed none = ~packed{0};

  explicit merge_table(const std::vector<bpe_merge>& merges)
    : slots_(std::bit_ceil(merges.size() + merges.size() / 4 + 2)), shift_(64 - std::countr_zero(slots_.size())),
      filter_(std::bit_ceil(merges.size() / 8 + 2)), filter_shift_(64 - std::countr_zero(filter_.size())) {
    for (const auto& merge : merges)
      insert(merge);
  }

  packed find(token_id left, token_id right) const {
    const auto key = std::uint64_t{left} << 32 | right;
    const auto hash = key * multiplier;
    if ((filter_[hash >> filter_shift_] >> (hash >> 20 & 63) & 1) == 0)
      return none;
    // Ends, because a fifth of the slots are empty at least.
    for (auto i = static_cast<std::size_t>(hash >> shift_);; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i].key == key)
        return slots_[i].value;
      if (slots_[i].key == empty)
        return none;
    }
  }

private:
  struct slot {
    std::uint64_t key = empty;
    packed value = none;
  };
  /// (2^32 - 1, 2^32 - 1) is no pair: there are never that many tokens.
  static constexpr std::uint64_t empty = ~std::uint64_t{0};

  /// Fibonacci hashing: the high bits of the product depend on all bits of the key.
  static constexpr std::uint64_t multiplier = 0x9E3779B97F4A7C15u;

  void insert(const bpe_merge& merge) {
    const auto key = std::uint64_t{merge.left} << 32 | merge.right;
    const auto hash = key * multiplier;
    filter_[hash >> filter_shift_] |= std::uint64_t{1} << (hash >> 20 & 63);
    auto i = static_cast<std::size_t>(hash >> shift_);
    while (slots_[i].key != empty && slots_[i].key != key)
      i = (i + 1) & (slots_.size() - 1);
    if (slots_[i].key == empty)
      slots_[i] = {key, packed{merge.rank} << 32 | merge.result};
  }

  std::vector<slot> slots_;
  int shift_;
  /// A bit is set for each pair that is there, about one in fourteen: most pairs that aren't are told by what fits into
  /// a second-level cache.
  std::vector<std::uint64_t> filter_;
  int filter_shift_;
};

} // namespace troupe::text
