// SPDX-License-Identifier: Apache-2.0
#include "actors/worker/landing_blocks.hpp"

#include <algorithm>
#include <utility>

#include "messages/kv/checksum.hpp"

namespace troupe {

landing_blocks::landing_blocks(block_runs missing) : missing_(std::move(missing)) {
  for (std::size_t g = 0; g < missing_.size(); ++g) {
    arrived_[g].resize(missing_[g].blocks.size());
    checksums_[g].resize(missing_[g].blocks.size());
    awaited_ += missing_[g].blocks.size();
  }
}

landing_blocks::arrival landing_blocks::arrive(std::size_t group, std::uint32_t index) {
  if (group >= missing_.size() || index < missing_[group].first_block || index >= missing_[group].end())
    return arrival::not_wanted;
  const auto i = index - missing_[group].first_block;
  if (arrived_[group][i])
    return arrival::repeated;
  arrived_[group][i] = true;
  --awaited_;
  unhashed_.push_back({group, i});
  return arrival::first;
}

std::uint64_t landing_blocks::hash_next(const block_reader& read) {
  const auto [group, i] = unhashed_.front();
  unhashed_.pop_front();
  const auto block = read(group, missing_[group].blocks[i]);
  checksums_[group][i] = kv_checksum(block);
  return block.size();
}

std::optional<std::uint32_t> landing_blocks::first_bad(const std::vector<std::vector<std::uint64_t>>& expected) const {
  std::optional<std::uint32_t> first;
  for (std::size_t g = 0; g < expected.size(); ++g) {
    if (expected[g].size() != missing_[g].blocks.size())
      return 0;
    const auto wrong = std::ranges::mismatch(checksums_[g], expected[g]).in1;
    if (wrong == checksums_[g].end())
      continue;
    const auto index = missing_[g].first_block + static_cast<std::uint32_t>(wrong - checksums_[g].begin());
    first = std::min(first.value_or(index), index);
  }
  return first;
}

} // namespace troupe
