// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "messages/ids.hpp"
#include "text/tokenizer_description.hpp"

namespace troupe::text {

/// (left, right) to the rank and the result of their merge; open addressing, because this look-up is most of the
/// time that encoding a new word takes. A slot is a pair and the index of its outcome in 64 bits: what does not fit
/// into the nearer caches is what look-ups wait for.
class merge_table {
public:
  /// Rank in the high half, result in the low one: the merge that applies first is the smallest.
  using packed = std::uint64_t;
  static constexpr packed none = ~packed{0};

  /// Whether a pair of so many symbols and the index of a merge fit into a slot.
  static bool fits(std::size_t symbols, std::size_t merges) {
    return 2 * static_cast<int>(std::bit_width(symbols)) + static_cast<int>(std::bit_width(merges)) <= 64;
  }

  /// REQUIRES: fits(symbols, merges.size()), and every symbol, looked up ones too, is below `symbols`
  merge_table(const std::vector<bpe_merge>& merges, std::size_t symbols);

  /// A pair on its way: memory has been asked for what find() reads.
  struct probe {
    std::uint64_t pair;
    std::uint64_t hash;
  };

  probe start(token_id left, token_id right) const {
    const auto pair = std::uint64_t{left} << symbol_bits_ | right;
    const auto hash = pair * multiplier;
    __builtin_prefetch(&slots_[hash >> shift_]);
    return {pair, hash};
  }

  packed find(probe p) const {
    if ((filter_[p.hash >> filter_shift_] >> (p.hash >> 20 & 63) & 1) == 0)
      return none;
    // Ends, because a fifth of the slots are empty at least.
    for (auto i = static_cast<std::size_t>(p.hash >> shift_);; i = (i + 1) & (slots_.size() - 1)) {
      const auto slot = slots_[i];
      if (slot >> index_bits_ == p.pair)
        return outcome(slot & ((std::uint64_t{1} << index_bits_) - 1));
      if (slot == empty)
        return none;
    }
  }

  packed find(token_id left, token_id right) const { return find(start(left, right)); }

private:
  static constexpr std::uint64_t empty = ~std::uint64_t{0};

  /// Fibonacci hashing: the high bits of the product depend on all bits of the pair.
  static constexpr std::uint64_t multiplier = 0x9E3779B97F4A7C15u;

  packed outcome(std::uint64_t index) const {
    return result_offset_ ? index << 32 | static_cast<token_id>(index + *result_offset_) : outcomes_[index];
  }

  void insert(const bpe_merge&, std::uint64_t index);

  /// The pair above index_bits_, below it the index of the merge.
  std::vector<std::uint64_t> slots_;
  int shift_;
  int symbol_bits_;
  int index_bits_;
  /// A bit is set for each pair that is there, about one in fourteen: most pairs that aren't are told by what fits into
  /// a second-level cache.
  std::vector<std::uint64_t> filter_;
  int filter_shift_;
  /// Vocabularies of byte-level BPE number their tokens in the order of the merges: then the rank stands for
  /// the index, and this much more is the result.
  std::optional<token_id> result_offset_;
  /// Otherwise the merges' ranks and results.
  std::vector<packed> outcomes_;
};

} // namespace troupe::text
