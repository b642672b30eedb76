// SPDX-License-Identifier: Apache-2.0
#include "messages/kv/checksum.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <memory>

#include <xxhash.h>

namespace troupe {

static_assert(std::endian::native == std::endian::little, "the lanes' sums are hashed as they lie in memory");

namespace {

struct state_deleter {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};

} // namespace

std::uint64_t kv_checksum(std::span<const std::byte> block) {
  // Sums are hashed in batches, so that a block of any size needs no memory of its size.
  std::unique_ptr<XXH3_state_t, state_deleter> tree{XXH3_createState()};
  XXH3_64bits_reset(tree.get());
  std::array<std::uint64_t, 64> sums;
  while (!block.empty()) {
    std::size_t count = 0;
    for (; count < sums.size() && !block.empty(); ++count) {
      auto lane = block.first(std::min(block.size(), kv_checksum_lane_bytes));
      sums[count] = XXH3_64bits(lane.data(), lane.size());
      block = block.subspan(lane.size());
    }
    XXH3_64bits_update(tree.get(), sums.data(), count * sizeof sums[0]);
  }
  return XXH3_64bits_digest(tree.get());
}

} // namespace troupe
