// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/support/splitmix64.hpp"

namespace troupe::test {

/// `count` floats of [-1, 1).
inline std::vector<float> random_floats(std::size_t count, std::uint64_t seed) {
  splitmix64 random{seed};
  std::vector<float> x(count);
  for (auto& v : x)
    v = static_cast<float>(static_cast<double>(random.next() >> 40) * 0x1p-23 - 1);
  return x;
}

} // namespace troupe::test
