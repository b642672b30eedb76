// SPDX-License-Identifier: Apache-2.0
#include "gpu/mock/mock_kv.hpp"

#include <array>
#include <cstring>

#include "gpu/sampling/generator.hpp"

namespace troupe::gpu::mock {

namespace {

using stamp = std::array<std::uint64_t, 2>;

stamp make_stamp(std::uint64_t prefix, std::uint32_t layer, std::uint32_t part) {
  return {prefix, mix64(prefix ^ mix64(layer * 2 + part))};
}

/// Calls f(offset, stamp) for each layer and part of a position.
template <class Function>
void for_each_stamp(const cache_group& group, std::span<const block_id> table, std::uint32_t position,
                    std::uint64_t prefix, Function f) {
  const auto block = table[position / group.block_tokens] * group.block_bytes;
  const auto token = position % group.block_tokens * group.keys.token;
  for (std::uint32_t layer = 0; layer < group.layers; ++layer)
    for (std::uint32_t part = 0; part < 2; ++part)
      f(block + layer * group.keys.layer + part * group.values_offset + token, make_stamp(prefix, layer, part));
}

} // namespace

std::uint64_t extend(std::uint64_t prefix, token_id token) { return mix64(prefix ^ (std::uint64_t{token} << 1 | 1)); }

mock_kv::mock_kv(const cache_group& shape, const std::optional<region_view>& memory) : group_(shape) {
  const auto head = sizeof(stamp) * group_.block_tokens; // of one kv head
  group_.keys = group_.values = {2 * head, head, sizeof(stamp), sizeof(float)};
  group_.values_offset = head;
  group_.block_bytes = group_.keys.layer * group_.layers;
  const auto bytes = group_.block_bytes * group_.blocks;
  if (memory && memory->bytes >= bytes) {
    memory_ = *memory;
    return;
  }
  own_.resize(bytes);
  memory_ = {own_.data(), own_.size(), memory_kind::host};
}

void mock_kv::write(std::span<const block_id> table, std::uint32_t position, std::uint64_t prefix) {
  for_each_stamp(group_, table, position, prefix,
                 [&](std::uint64_t offset, const stamp& s) { std::memcpy(memory_.data + offset, s.data(), sizeof s); });
}

bool mock_kv::holds(std::span<const block_id> table, std::uint32_t position, std::uint64_t prefix) const {
  bool equal = true;
  for_each_stamp(group_, table, position, prefix, [&](std::uint64_t offset, const stamp& s) {
    equal = equal && std::memcmp(memory_.data + offset, s.data(), sizeof s) == 0;
  });
  return equal;
}

} // namespace troupe::gpu::mock
