// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/word_cache.hpp"

namespace troupe::text {

word_cache::word_cache()
  : sets_(set_count), middle_slots_(std::size_t{1} << middle_bits), large_slots_(std::size_t{1} << large_bits) {}

word_cache::long_place word_cache::long_place_of(std::string_view word) {
  // What is longer is nowhere.
  word = word.substr(0, sizeof(large_slot));
  std::uint64_t h = word.size();
  for (; word.size() > 8; word.remove_prefix(8)) {
    std::uint64_t part = 0;
    std::memcpy(&part, word.data(), 8);
    h = (h ^ part) * 0x9E3779B97F4A7C15u;
    h ^= h >> 29;
  }
  std::uint64_t part = 0;
  std::memcpy(&part, word.data(), word.size());
  h = (h ^ part) * 0x9E3779B97F4A7C15u;
  h ^= h >> 29;
  h *= 0x9E3779B97F4A7C15u;
  return {static_cast<std::uint32_t>(h >> (64 - middle_bits)),
          static_cast<std::uint32_t>(h >> (64 - middle_bits - large_bits) & ((1u << large_bits) - 1))};
}

} // namespace troupe::text
