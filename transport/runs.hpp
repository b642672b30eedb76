// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "transport/transport.hpp"

// Arithmetic of strided runs, for every back end. Pure.
namespace troupe::transport {

/// Checks runs against a region's size without overflow, and adds up their bytes.
/// errc::invalid_argument for no runs, too many, an empty one, or pieces that overlap;
/// errc::out_of_range, naming the run, for one that reaches beyond the region.
expected<std::uint64_t, error> check_runs(std::span<const run>, std::uint64_t region_bytes, std::uint32_t runs_max);

/// Walks the bytes of checked runs in contiguous pieces, as long as possible.
class run_walker {
public:
  explicit run_walker(std::span<const run> runs) : runs_(runs) {}

  /// No bytes are left.
  bool done() const { return run_ == runs_.size(); }
  /// Where the next byte is. REQUIRES: !done()
  std::uint64_t offset() const;
  /// How many bytes from offset() on are contiguous within their run. REQUIRES: !done()
  std::uint64_t contiguous() const;
  /// REQUIRES: bytes <= contiguous()
  void advance(std::uint64_t bytes);

private:
  std::span<const run> runs_;
  std::size_t run_ = 0;
  std::uint32_t piece_ = 0;
  std::uint64_t in_piece_ = 0; // < runs_[run_].bytes
};

} // namespace troupe::transport
