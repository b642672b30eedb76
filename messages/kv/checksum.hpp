// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace troupe {

/// Bytes of one leaf of the checksum tree.
constexpr std::size_t kv_checksum_lane_bytes = 4096;

/// Checksum of a KV block: XXH3-64 of each lane of 4 KiB (the last may be shorter), then XXH3-64 of the
/// lanes' sums as little-endian u64. A tree of two levels, so that a GPU can compute it lane by lane.
std::uint64_t kv_checksum(std::span<const std::byte> block);

} // namespace troupe
