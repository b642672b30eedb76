// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "messages/ids.hpp"
#include "text/pipeline/token_buffer.hpp"

namespace troupe::text {

/// The tokens of words that occurred lately, so that a model encodes each of them once. Of fixed size (3.5 MiB), for
/// one thread at a time. Short words with few tokens lie in sets of two, side by side in a cache line; the older
/// one is forgotten for a new one. What needs more room lies elsewhere, in slots of two sizes: 62 and 254 bytes for the
/// word and its tokens.
class word_cache {
public:
  /// A word of at most 15 bytes, its length in the last byte: never 0.
  struct key {
    std::uint64_t low;
    std::uint64_t high;

    /// Without a branch for the half that differs.
    friend bool operator==(const key& a, const key& b) { return ((a.low ^ b.low) | (a.high ^ b.high)) == 0; }
  };

  static constexpr std::size_t short_bytes_max = 15;
  static constexpr std::size_t short_tokens_max = 3;
  /// Of a word that has no more, so many tokens are copied: a number that the compiler knows.
  static constexpr std::size_t few_tokens = 8;

  word_cache();

  /// REQUIRES: 0 < word.size() <= short_bytes_max; word lies before readable_end, up to which bytes may be read
  static key key_of(std::string_view word, const char* readable_end) {
    std::uint64_t raw[2] = {0, 0};
    if (readable_end - word.data() >= 16)
      std::memcpy(raw, word.data(), 16);
    else
      std::memcpy(raw, word.data(), word.size());
    if constexpr (std::endian::native == std::endian::big)
      return {swapped(raw[0]) & masks[word.size()].low,
              (swapped(raw[1]) & masks[word.size()].high) | word.size() << 56};
    return {raw[0] & masks[word.size()].low, (raw[1] & masks[word.size()].high) | word.size() << 56};
  }

  static std::size_t set_of(const key& k) {
    auto h = (k.low ^ std::rotl(k.high, 29)) * 0x9E3779B97F4A7C15u;
    h ^= k.high * 0xD6E8FEB86659FD93u;
    h ^= h >> 32;
    return static_cast<std::size_t>((h * 0x9E3779B97F4A7C15u) >> (64 - set_bits));
  }

  void prefetch(std::size_t set) const { __builtin_prefetch(&sets_[set]); }

  /// Writes the tokens of a short word to `to`, where there is room for short_tokens_max; returns how many there are,
  /// or -1 if the word isn't here.
  int find_short(const key& k, std::size_t set, token_id* to) const {
    const auto& slots = sets_[set].slots;
    // Which of the two has it cannot be predicted.
    const auto& slot = slots[static_cast<std::size_t>(slots[0].word != k)];
    if (slot.word != k)
      return -1;
    std::memcpy(to, slot.tokens.data(), sizeof slot.tokens);
    return static_cast<int>(slot.count);
  }

  /// REQUIRES: tokens.size() <= short_tokens_max
  void insert_short(const key& k, std::size_t set, std::span<const token_id> tokens) {
    auto& slots = sets_[set].slots;
    slots[1] = slots[0];
    slots[0].word = k;
    slots[0].count = static_cast<std::uint32_t>(tokens.size());
    std::ranges::copy(tokens, slots[0].tokens.begin());
  }

  /// Where a word is looked for that is not short, or has more tokens than a short one.
  struct long_place {
    std::uint32_t middle;
    std::uint32_t large;
  };

  static long_place long_place_of(std::string_view word);

  void prefetch_long(std::string_view word, long_place at) const {
    // The large ones are few.
    if (word.size() < sizeof(middle_slot))
      __builtin_prefetch(&middle_slots_[at.middle]);
  }

  /// Appends the tokens of any other word to `to`. False if it isn't here.
  bool find_long(std::string_view word, long_place at, token_buffer& to) const {
    return middle_slots_[at.middle].find(word, to) || large_slots_[at.large].find(word, to);
  }

  /// Does nothing if the word and its tokens need too much room.
  void insert_long(std::string_view word, long_place at, std::span<const token_id> tokens) {
    if (!middle_slots_[at.middle].insert(word, tokens))
      large_slots_[at.large].insert(word, tokens);
  }

private:
  struct short_slot {
    key word{};
    std::array<token_id, short_tokens_max> tokens{};
    std::uint32_t count = 0;
  };
  struct alignas(64) set {
    std::array<short_slot, 2> slots;
  };
  /// Tokens, and behind them their word.
  template <std::size_t Bytes>
  struct alignas(64) long_slot {
    bool find(std::string_view word, token_buffer& to) const {
      if (bytes != word.size() || !equal(room.data() + count * sizeof(token_id), word))
        return false;
      if (count <= few_tokens)
        std::memcpy(to.reserve(few_tokens), room.data(), few_tokens * sizeof(token_id));
      else
        std::memcpy(to.reserve(count), room.data(), count * sizeof(token_id));
      to.commit(count);
      return true;
    }

    bool insert(std::string_view word, std::span<const token_id> tokens) {
      if (word.size() + tokens.size_bytes() > room.size())
        return false;
      bytes = static_cast<std::uint8_t>(word.size());
      count = static_cast<std::uint8_t>(tokens.size());
      std::memcpy(room.data(), tokens.data(), tokens.size_bytes());
      std::memcpy(room.data() + tokens.size_bytes(), word.data(), word.size());
      return true;
    }

    /// 0: nothing is here.
    std::uint8_t bytes = 0;
    std::uint8_t count = 0;
    std::array<char, Bytes - 2> room{};
  };

  static std::uint64_t load(const char* p) {
    std::uint64_t result = 0;
    std::memcpy(&result, p, sizeof result);
    return result;
  }

  static bool equal(const char* known, std::string_view word) {
    const auto n = word.size();
    if (n < 16 || n > 32)
      return std::memcmp(known, word.data(), n) == 0;
    const auto differs = [&](std::size_t i) { return load(known + i) ^ load(word.data() + i); };
    return (differs(0) | differs(8) | differs(n - 16) | differs(n - 8)) == 0;
  }

  using middle_slot = long_slot<64>;
  using large_slot = long_slot<256>;

  static constexpr int set_bits = 15;
  static constexpr std::size_t set_count = std::size_t{1} << set_bits;
  static constexpr int middle_bits = 14;
  static constexpr int large_bits = 11;

  static constexpr std::uint64_t swapped(std::uint64_t v) {
    std::uint64_t result = 0;
    for (int i = 0; i < 8; ++i)
      result |= (v >> (8 * i) & 0xFF) << (8 * (7 - i));
    return result;
  }

  static constexpr auto masks = [] {
    std::array<key, 16> result{};
    for (std::size_t bytes = 0; bytes < 16; ++bytes) {
      result[bytes].low = bytes >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * bytes)) - 1;
      result[bytes].high = bytes > 8 ? (std::uint64_t{1} << (8 * (bytes - 8))) - 1 : 0;
    }
    return result;
  }();

  std::vector<set> sets_;
  std::vector<middle_slot> middle_slots_;
  std::vector<large_slot> large_slots_;
};

} // namespace troupe::text
