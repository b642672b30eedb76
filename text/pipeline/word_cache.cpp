// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/word_cache.hpp"

namespace troupe::text {

word_cache::word_cache()
  : sets_(set_count), middle_slots_(std::size_t{1} << middle_bits), large_slots_(std::size_t{1} << large_bits) {}

word_cache::long_place word_cache::long_place_of(std::string_view word) {
  constexpr std::uint64_t multiplier = 0x9E3779B97F4A7C15u;
  std::uint64_t h = word.size();
  const auto add = [&h](std::uint64_t part) {
    h = (h ^ part) * multiplier;
    h ^= h >> 29;
  };
  // What is longer than a large slot is nowhere.
  const auto n = std::min(word.size(), sizeof(large_slot));
  if (n < 8) {
    std::uint64_t part = 0;
    std::memcpy(&part, word.data(), n);
    add(part);
  } else {
    // From both ends, without a loop for most words.
    for (std::size_t at = 16; n > 32 && at + 16 < n; at += 8)
      add(load(word.data() + at));
    const auto middle =
      load(word.data() + (n < 16 ? 0 : n - 16)) ^ std::rotl(load(word.data() + std::min<std::size_t>(8, n - 8)), 21);
    add(load(word.data()) * 0xD6E8FEB86659FD93u ^ load(word.data() + n - 8));
    add(middle);
  }
  h *= multiplier;
  return {static_cast<std::uint32_t>(h >> (64 - middle_bits)),
          static_cast<std::uint32_t>((h >> (64 - middle_bits - large_bits)) & ((1u << large_bits) - 1))};
}

} // namespace troupe::text
