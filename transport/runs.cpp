// SPDX-License-Identifier: Apache-2.0
#include "transport/runs.hpp"

#include <cassert>
#include <string>

namespace troupe::transport {

namespace {

// Whether the pieces follow each other without a gap.
bool is_dense(const run& r) { return r.count == 1 || r.stride == r.bytes; }

bool fits(const run& r, std::uint64_t region_bytes) {
  std::uint64_t end = 0;
  return !__builtin_mul_overflow(r.stride, std::uint64_t{r.count} - 1, &end)
         && !__builtin_add_overflow(end, r.offset, &end) && !__builtin_add_overflow(end, r.bytes, &end)
         && end <= region_bytes;
}

} // namespace

expected<std::uint64_t, error> check_runs(std::span<const run> runs, std::uint64_t region_bytes,
                                          std::uint32_t runs_max) {
  if (runs.empty() || runs.size() > runs_max)
    return fail(errc::invalid_argument,
                std::to_string(runs.size()) + " runs, must be 1 to " + std::to_string(runs_max));
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    auto r = runs[i];
    if (r.bytes == 0 || r.count == 0)
      return fail(errc::invalid_argument, "run " + std::to_string(i) + " is empty");
    if (r.count == 1)
      r.stride = 0; // means nothing then
    else if (r.stride < r.bytes)
      return fail(errc::invalid_argument, "run " + std::to_string(i) + " overlaps itself: stride "
                                            + std::to_string(r.stride) + ", bytes " + std::to_string(r.bytes));
    if (!fits(r, region_bytes))
      return fail(errc::out_of_range, "run " + std::to_string(i) + " (offset " + std::to_string(r.offset) + ", bytes "
                                        + std::to_string(r.bytes) + ", stride " + std::to_string(r.stride) + ", count "
                                        + std::to_string(r.count) + ") exceeds a region of "
                                        + std::to_string(region_bytes) + " bytes");
    // A run that fits does not overflow; many of them, over the same bytes, might.
    if (__builtin_add_overflow(total, r.bytes * r.count, &total))
      return fail(errc::invalid_argument, "the runs add up to more than 64 bits");
  }
  return total;
}

std::uint64_t run_walker::offset() const {
  assert(!done());
  auto& r = runs_[run_];
  return r.offset + (piece_ == 0 ? 0 : r.stride * piece_) + in_piece_;
}

std::uint64_t run_walker::contiguous() const {
  assert(!done());
  auto& r = runs_[run_];
  auto pieces = is_dense(r) ? r.count - piece_ : 1;
  return r.bytes * pieces - in_piece_;
}

void run_walker::advance(std::uint64_t bytes) {
  assert(bytes <= contiguous());
  auto& r = runs_[run_];
  in_piece_ += bytes;
  piece_ += static_cast<std::uint32_t>(in_piece_ / r.bytes);
  in_piece_ %= r.bytes;
  if (piece_ == r.count) {
    ++run_;
    piece_ = 0;
  }
}

} // namespace troupe::transport
