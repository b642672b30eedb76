// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "messages/ids.hpp"
#include "text/pipeline/merge_table.hpp"

namespace troupe::text {

/// Merges the symbols of several short words in turns: while memory brings what one of them has to look up, the others
/// go on. A single word would wait at each step, which needs what the look-ups of the one before have found.
class merge_lanes {
public:
  /// Up to so many symbols the best pair is sought by looking at all of them.
  static constexpr std::size_t symbols_max = 64;

  /// Where a word's symbols are written.
  using symbols = std::span<token_id, symbols_max>;

  /// Each word is in a lane of its own for a time. Calls fill(lane, symbols) for each word, which writes the word's
  /// symbols and returns how many, or 0 when there are no more words; and done(lane, span of token_id) when they have
  /// been merged. Words are done in any order. `border` is a symbol without merges: see merge_table::start.
  template <class Fill, class Done>
  void run(const merge_table& merges, token_id border, Fill fill, Done done) {
    const auto begin = [&](std::size_t at) {
      const auto count = fill(at, lanes_[at].place());
      if (count > 0)
        lanes_[at].begin(count, merges, border);
      return count > 0;
    };
    std::array<std::size_t, lanes> busy;
    std::size_t count = 0;
    while (count < lanes && begin(count)) {
      busy[count] = count;
      ++count;
    }
    while (count > 0) {
      for (std::size_t i = 0; i < count; ++i)
        lanes_[busy[i]].go_on_with_look_ups(merges);
      for (std::size_t i = 0; i < count; ++i)
        lanes_[busy[i]].finish_look_ups(merges);
      for (std::size_t i = 0; i < count;) {
        const auto at = busy[i];
        if (lanes_[at].merge_best(merges)) {
          ++i;
          continue;
        }
        done(at, lanes_[at].merged());
        if (begin(at))
          ++i;
        else
          busy[i] = busy[--count];
      }
    }
  }

  static constexpr std::size_t lanes = 16;

private:
  static constexpr std::uint32_t no_rank = 0x7FFF'FFFF;

  using places = std::array<std::uint8_t, symbols_max + 2>;

  static constexpr places initial_next = [] {
    places result{};
    for (std::size_t i = 0; i < result.size(); ++i)
      result[i] = static_cast<std::uint8_t>(i + 1);
    return result;
  }();

  static constexpr places initial_previous = [] {
    places result{};
    for (std::size_t i = 1; i < result.size(); ++i)
      result[i] = static_cast<std::uint8_t>(i - 1);
    return result;
  }();

  /// Symbols in their places, from 1 on, with a border on both sides; those that are merged away are skipped by `next`
  /// and `previous`.
  class lane {
  public:
    symbols place() { return symbols{symbols_.data() + 1, symbols_max}; }

    void begin(std::size_t count, const merge_table& merges, token_id border) {
      count_ = count;
      padded_ = (count + 16) / 16 * 16;
      symbols_[0] = symbols_[count + 1] = border;
      for (std::size_t i = 1; i < count; ++i)
        probes_[i] = merges.start(symbols_[i], symbols_[i + 1]);
      next_ = initial_next;
      previous_ = initial_previous;
      std::fill(ranks_.data(), ranks_.data() + padded_, no_rank);
      is_new_ = true;
    }

    void go_on_with_look_ups(const merge_table& merges) {
      if (is_new_) {
        for (std::size_t i = 1; i < count_; ++i)
          merges.go_on(probes_[i]);
        return;
      }
      merges.go_on(with_behind_);
      merges.go_on(with_before_);
    }

    void finish_look_ups(const merge_table& merges) {
      if (is_new_) {
        for (std::size_t i = 1; i < count_; ++i)
          set(i, merges.find(probes_[i]));
        is_new_ = false;
        return;
      }
      set(best_, merges.find(with_behind_));
      set(before_, merges.find(with_before_));
    }

    /// Merges the first pair of the lowest rank and begins to look up its new neighbours. False if no pair merges.
    bool merge_best(const merge_table& merges) {
      const auto best = find_best();
      if (best == padded_)
        return false;
      const std::size_t right = next_[best];
      symbols_[best] = results_[best];
      ranks_[right] = no_rank;
      const std::size_t behind = next_[best] = next_[right];
      previous_[behind] = static_cast<std::uint8_t>(best);
      best_ = best;
      before_ = previous_[best];
      with_behind_ = merges.start(symbols_[best], symbols_[behind]);
      with_before_ = merges.start(symbols_[before_], symbols_[best]);
      return true;
    }

    /// What is left, from now on side by side.
    std::span<const token_id> merged() {
      std::size_t count = 0;
      for (std::size_t i = 1; i <= count_; i = next_[i])
        symbols_[count++] = symbols_[i];
      return {symbols_.data(), count};
    }

  private:
    void set(std::size_t left, merge_table::packed pair) {
      ranks_[left] = static_cast<std::uint32_t>(pair >> 32) & no_rank;
      results_[left] = static_cast<token_id>(pair);
    }

    /// The place of the first pair of the lowest rank; padded_ if no pair merges.
    std::size_t find_best() const {
#if defined(__SSE2__)
      const auto least_of = [](__m128i a, __m128i b) {
        const auto is_more = _mm_cmpgt_epi32(a, b);
        return _mm_or_si128(_mm_and_si128(is_more, b), _mm_andnot_si128(is_more, a));
      };
      const auto at = [&](std::size_t i) { return _mm_load_si128(reinterpret_cast<const __m128i*>(&ranks_[i])); };
      auto least = _mm_set1_epi32(static_cast<int>(no_rank));
      for (std::size_t i = 0; i < padded_; i += 16)
        least = least_of(least, least_of(least_of(at(i), at(i + 4)), least_of(at(i + 8), at(i + 12))));
      least = least_of(least, _mm_shuffle_epi32(least, 0x4E));
      least = least_of(least, _mm_shuffle_epi32(least, 0xB1));
      if (_mm_cvtsi128_si32(least) == static_cast<int>(no_rank))
        return padded_;
      const auto hits_at = [&](std::size_t i) { return _mm_cmpeq_epi32(at(i), least); };
      for (std::size_t i = 0;; i += 16) {
        const auto hits = _mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(hits_at(i), hits_at(i + 4)),
                                                            _mm_packs_epi32(hits_at(i + 8), hits_at(i + 12))));
        if (hits != 0)
          return i + static_cast<std::size_t>(std::countr_zero(static_cast<unsigned>(hits)));
      }
#else
      const auto* best = std::min_element(ranks_.data(), ranks_.data() + padded_);
      return *best == no_rank ? padded_ : static_cast<std::size_t>(best - ranks_.data());
#endif
    }

    std::size_t count_ = 0;
    /// The least multiple of 16 that is more than count_.
    std::size_t padded_ = 0;
    std::array<token_id, symbols_max + 2> symbols_;
    /// Of each symbol with the one behind it.
    alignas(16) std::array<std::uint32_t, symbols_max + 16> ranks_;
    std::array<token_id, symbols_max + 1> results_;
    places next_;
    places previous_;
    /// Look-ups that have begun: all pairs of a new word, else those of the last merge.
    std::array<merge_table::probe, symbols_max> probes_;
    merge_table::probe with_before_;
    merge_table::probe with_behind_;
    std::size_t best_ = 0;
    std::size_t before_ = 0;
    bool is_new_ = false;
  };

  std::array<lane, lanes> lanes_;
};

} // namespace troupe::text
