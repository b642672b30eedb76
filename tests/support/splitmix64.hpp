// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace troupe::test {

/// Steele, Lea and Flood's splitmix64, the generator of the goldens (tests/goldens/splitmix64.py).
class splitmix64 {
public:
  explicit splitmix64(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  /// A number in [0, n).
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(((next() >> 32) * n) >> 32); }

private:
  std::uint64_t state_;
};

} // namespace troupe::test
