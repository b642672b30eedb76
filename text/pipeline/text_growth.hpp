// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace troupe::text {

/// How many bytes the steps of a pipeline may add to a text, all steps and parts of the text together. A file names up
/// to a hundred steps, of which each may double what it gets: without a bound one letter becomes 2^100 bytes.
class text_growth {
public:
  explicit text_growth(std::size_t bytes_max) : left_(bytes_max) {}

  /// The most that a step may make of so many bytes.
  std::size_t most_of(std::size_t bytes) const { return bytes + left_; }

  /// A step has made `after` bytes of `before`. False if that is too much; what a step takes away gives no room back.
  bool allow(std::size_t before, std::size_t after) {
    if (after > most_of(before))
      exceeded_ = true;
    else if (after > before)
      left_ -= after - before;
    return !exceeded_;
  }

  /// A step has found for itself that its result is too long.
  void exceed() { exceeded_ = true; }
  bool exceeded() const { return exceeded_; }

private:
  std::size_t left_;
  bool exceeded_ = false;
};

} // namespace troupe::text
