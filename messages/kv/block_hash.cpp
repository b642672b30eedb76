// SPDX-License-Identifier: Apache-2.0
#include "messages/kv/block_hash.hpp"

#include <array>
#include <bit>

#include <xxhash.h>

namespace troupe {

static_assert(std::endian::native == std::endian::little, "tokens and hashes are hashed as they lie in memory");

std::uint64_t salted_seed(std::string_view adapter, std::string_view tenant) {
  auto seed = block_hash_seed;
  if (!adapter.empty())
    seed += XXH3_64bits_withSeed(adapter.data(), adapter.size(), 0);
  if (!tenant.empty())
    seed += XXH3_64bits_withSeed(tenant.data(), tenant.size(), 1);
  return seed;
}

std::uint64_t block_hash(std::span<const token_id> tokens, std::uint64_t seed) {
  return XXH3_64bits_withSeed(tokens.data(), tokens.size_bytes(), seed);
}

std::uint64_t chain_block_hash(std::optional<std::uint64_t> parent, std::uint64_t block) {
  if (!parent)
    return block;
  std::array<std::uint64_t, 2> pair{*parent, block};
  return XXH3_64bits_withSeed(pair.data(), sizeof pair, block_hash_seed);
}

} // namespace troupe
