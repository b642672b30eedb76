// SPDX-License-Identifier: Apache-2.0
#include "actors/worker/sequence_hash.hpp"

#include <array>
#include <bit>

#include <xxhash.h>

namespace troupe {

static_assert(std::endian::native == std::endian::little);

std::uint64_t sequence_hash(std::optional<std::uint64_t> parent, std::span<const token_id> tokens) {
  constexpr std::uint64_t seed = 1337;
  const std::uint64_t own = XXH3_64bits_withSeed(tokens.data(), tokens.size_bytes(), seed);
  if (!parent)
    return own;
  const std::array<std::uint64_t, 2> pair{*parent, own};
  return XXH3_64bits_withSeed(pair.data(), sizeof pair, seed);
}

} // namespace troupe
