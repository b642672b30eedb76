// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace troupe::gpu {

/// One step of splitmix64's output function: a bijection that spreads every bit over all bits.
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
constexpr std::uint64_t mix64(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// The generator of draws, without state: the uniform number in [0, 1) by which the token at `position`
/// of choice `choice` is drawn. `position` is the drawn token's own (the first token of a prompt has 0),
/// so a sequence that is replayed after preemption or on another worker draws the same tokens.
constexpr double uniform_at(std::uint64_t seed, std::uint32_t choice, std::uint32_t position) {
  const auto key = mix64(mix64(seed) ^ (std::uint64_t{choice} << 32 | position));
  return static_cast<double>(key >> 11) * 0x1p-53;
}

} // namespace troupe::gpu
