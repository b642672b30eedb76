// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/word_cache.hpp"

namespace troupe::text {

word_cache::word_cache() : sets_(set_count), long_slots_(long_count) {}

std::size_t word_cache::long_slot_of(std::string_view word) {
  std::uint64_t h = word.size();
  for (std::size_t at = 0; at < word.size(); at += 8) {
    std::uint64_t part = 0;
    std::memcpy(&part, word.data() + at, std::min<std::size_t>(8, word.size() - at));
    h = (h ^ part) * 0x9E3779B97F4A7C15u;
    h ^= h >> 29;
  }
  return static_cast<std::size_t>((h * 0x9E3779B97F4A7C15u) >> (64 - long_bits));
}

word_cache::long_match word_cache::find_long(std::string_view word, std::size_t at) const {
  if (word.size() > long_bytes_max)
    return {};
  const auto& slot = long_slots_[at];
  if (slot.bytes != word.size() || std::memcmp(slot.text.data(), word.data(), word.size()) != 0)
    return {};
  return {true, {slot.tokens.data(), slot.count}};
}

void word_cache::insert_long(std::string_view word, std::size_t at, std::span<const token_id> tokens) {
  if (word.size() > long_bytes_max || tokens.size() > long_tokens_max)
    return;
  auto& slot = long_slots_[at];
  slot.bytes = static_cast<std::uint8_t>(word.size());
  slot.count = static_cast<std::uint32_t>(tokens.size());
  std::memcpy(slot.text.data(), word.data(), word.size());
  std::ranges::copy(tokens, slot.tokens.begin());
}

} // namespace troupe::text
