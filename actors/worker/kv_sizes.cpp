// SPDX-License-Identifier: Apache-2.0
#include "actors/worker/kv_sizes.hpp"

#include <algorithm>

namespace troupe {

namespace {

/// Ids are below no_block.
std::uint32_t as_blocks(std::uint64_t count) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(count, no_block));
}

} // namespace

std::optional<kv_sizes> divide_kv_memory(std::uint64_t memory_bytes, std::span<const gpu::cache_group> groups,
                                         scheduler_config limits) {
  const auto full_bytes = groups[0].block_bytes;
  const auto sliding_bytes = groups.size() > 1 ? groups[1].block_bytes : 0;
  const auto of_each = memory_bytes / (full_bytes + sliding_bytes);
  if (of_each == 0)
    return std::nullopt;
  if (groups.size() == 1)
    return kv_sizes{as_blocks(of_each), 0};
  limits.block_tokens = groups[1].block_tokens;
  limits.window_tokens = groups[1].window_tokens;
  auto sliding = std::min(of_each, window_blocks_max(limits));
  const auto context_bytes = blocks_for(limits.context_tokens, groups[0].block_tokens) * full_bytes;
  if (context_bytes < memory_bytes) {
    limits.running_max = std::min(limits.running_max, 4u);
    const auto beside_context = (memory_bytes - context_bytes) / sliding_bytes;
    sliding = std::min(sliding, std::max(beside_context, window_blocks_max(limits)));
  }
  return kv_sizes{as_blocks((memory_bytes - sliding * sliding_bytes) / full_bytes), as_blocks(sliding)};
}

} // namespace troupe
