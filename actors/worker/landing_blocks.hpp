// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "actors/worker/scheduler.hpp"

namespace troupe {

/// The blocks that one landing wants: which have arrived, and which of them are what their writer says.
///
///   wanted ──▶ arrived ──▶ hashed ──▶ compared, when the completion record is there
///
/// Landings may hold gigabytes, so blocks are hashed one by one, in the order in which they arrived; their owner
/// decides how many in a turn. A block is hashed once, and from its arrival on: its writer writes it once, and nobody
/// else has the right to write into it before the landing is over.
class landing_blocks {
public:
  /// What a block of a cache group holds.
  using block_reader = std::function<std::span<const std::byte>(std::size_t group, block_id)>;

  /// `missing`: of each cache group, to the prompt's end.
  explicit landing_blocks(block_runs missing);

  const block_runs& missing() const { return missing_; }

  enum class arrival : std::uint8_t { first, repeated, not_wanted };
  /// A block is in its place: the `index`th of the prompt's table in a cache group.
  arrival arrive(std::size_t group, std::uint32_t index);

  bool all_arrived() const { return awaited_ == 0; }
  /// Whether a block has arrived that is not hashed yet.
  bool has_unhashed() const { return !unhashed_.empty(); }

  /// Hashes the next of them; returns its size in bytes. REQUIRES: has_unhashed()
  std::uint64_t hash_next(const block_reader&);

  /// Index in the prompt's block tables of the first block that must not be read, in whichever group, by the checksums
  /// of the completion record; 0, so none of them, if these are of other blocks. REQUIRES: all_arrived(), !has_unhashed(), and a list of checksums for each cache group
  std::optional<std::uint32_t> first_bad(const std::vector<std::vector<std::uint64_t>>& expected) const;

private:
  /// The `i`th missing block of a group.
  struct place {
    std::size_t group = 0;
    std::size_t i = 0;
  };

  block_runs missing_;
  /// One per missing block.
  std::array<std::vector<bool>, gpu::groups_max> arrived_;
  /// The same; meaningful for those that are hashed.
  std::array<std::vector<std::uint64_t>, gpu::groups_max> checksums_;
  std::deque<place> unhashed_;
  /// Missing blocks that have not arrived, of all groups.
  std::size_t awaited_ = 0;
};

} // namespace troupe
