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

  /// REQUIRES: fits(symbols, merges.size()), and every symbol is below `symbols`
  merge_table(const std::vector<bpe_merge>& merges, std::size_t symbols);

  /// A pair on its way, in three steps, between which memory has time: start() asks for what go_on() reads, and that
  /// for what find() reads.
  struct probe {
    std::uint64_t pair = 0;
    /// Of the pair; after go_on() the slot where the search begins.
    std::uint64_t place = 0;
  };

  /// One of the two may be `symbols`, too, which has no merges.
  probe start(token_id left, token_id right) const {
    const auto pair = std::uint64_t{left} << symbol_bits_ | right;
    const auto hash = pair * multiplier;
    __builtin_prefetch(&filter_[hash >> filter_shift_]);
    return {pair, hash};
  }

  void go_on(probe& p) const {
    const auto bits = filter_bits(p.place);
    const bool may_be_there = (filter_[p.place >> filter_shift_] & bits) == bits;
    // Without a branch. What isn't there is looked for where that costs no load from memory: in the last slot, which is
    // empty.
    const auto mask = std::uint64_t{0} - static_cast<std::uint64_t>(may_be_there);
    p.place = ((p.place >> shift_) & mask) | ((slot_mask_ + 1) & ~mask);
    __builtin_prefetch(&slots_[p.place]);
  }

  /// With one branch for most pairs: which ones are there cannot be predicted.
  packed find(const probe& p) const {
    auto slot = slots_[p.place];
    // Ends, because a fifth of the slots are empty at least.
    for (auto i = p.place; static_cast<int>(slot >> index_bits_ != p.pair) & static_cast<int>(slot != empty);) {
      i = (i + 1) & slot_mask_;
      slot = slots_[i];
    }
    const auto found = std::uint64_t{0} - static_cast<std::uint64_t>(slot >> index_bits_ == p.pair);
    return outcome(slot & ((std::uint64_t{1} << index_bits_) - 1) & found) | ~found;
  }

  packed find(token_id left, token_id right) const {
    auto p = start(left, right);
    go_on(p);
    return find(p);
  }

private:
  static constexpr std::uint64_t empty = ~std::uint64_t{0};

  /// Fibonacci hashing: the high bits of the product depend on all bits of the pair.
  static constexpr std::uint64_t multiplier = 0x9E3779B97F4A7C15u;

  /// Three bits of one word.
  static std::uint64_t filter_bits(std::uint64_t hash) {
    return std::uint64_t{1} << ((hash >> 20) & 63) | std::uint64_t{1} << ((hash >> 26) & 63)
           | std::uint64_t{1} << ((hash >> 32) & 63);
  }

  packed outcome(std::uint64_t index) const {
    return result_offset_ ? index << 32 | static_cast<token_id>(index + *result_offset_) : outcomes_[index];
  }

  /// What becomes of an entry of the pair that is inserted again.
  enum class same_pair : std::uint8_t { stays, replaces };
  void insert(const bpe_merge&, std::uint64_t index, same_pair);

  /// The pair above index_bits_, below it the index of the merge.
  std::vector<std::uint64_t> slots_;
  std::uint64_t slot_mask_;
  int shift_;
  int symbol_bits_;
  int index_bits_;
  /// Bits are set for each pair that is there: pairs that aren't are told by what fits into a second-level cache.
  std::vector<std::uint64_t> filter_;
  int filter_shift_;
  /// Vocabularies of byte-level BPE number their tokens in the order of the merges: then the rank stands for
  /// the index, and this much more is the result.
  std::optional<token_id> result_offset_;
  /// Otherwise the merges' ranks and results.
  std::vector<packed> outcomes_;
};

} // namespace troupe::text
