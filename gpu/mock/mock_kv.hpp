// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "gpu/executor.hpp"

namespace troupe::gpu::mock {

/// Hash of a sequence's tokens up to and including one more.
std::uint64_t extend(std::uint64_t prefix, token_id token);

/// KV memory whose content can be checked. Per layer, key or value, and position one stamp of 16 bytes: the
/// prefix hash, and a hash of it with layer and part.
class mock_kv {
public:
  /// `shape` needs kind, window, layers, block_tokens and blocks. In `memory`, if that is large enough; else in memory
  /// of its own.
  mock_kv(const cache_group& shape, const std::optional<region_view>& memory);

  const cache_group& group() const { return group_; }
  region_view memory() const { return memory_; }

  void write(std::span<const block_id> table, std::uint32_t position, std::uint64_t prefix);
  bool holds(std::span<const block_id> table, std::uint32_t position, std::uint64_t prefix) const;

private:
  cache_group group_;
  std::vector<std::byte> own_;
  region_view memory_;
};

} // namespace troupe::gpu::mock
