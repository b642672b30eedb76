// SPDX-License-Identifier: Apache-2.0
#include "gpu/executor.hpp"

namespace troupe::gpu {

std::uint32_t step::computed_tokens() const {
  std::uint32_t sum = 0;
  for (const auto& r : rows)
    sum += r.from ? 1 : r.tokens_count;
  return sum;
}

} // namespace troupe::gpu
