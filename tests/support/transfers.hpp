// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "transport/transport.hpp"

// What the tests of every back end write, and how they look at it.
namespace troupe::test {

/// In place: registered memory must stay where it is.
inline void fill_with_noise(std::span<std::byte> memory, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  for (auto& b : memory)
    b = static_cast<std::byte>(random());
}

inline std::string text_of(const transport::arrival& a) {
  return {reinterpret_cast<const char*>(a.note.data()), a.note_bytes};
}

/// Runs with the given total that do not overlap.
inline std::vector<transport::run> draw_runs(std::mt19937_64& random, std::uint64_t region_bytes, std::uint64_t total) {
  std::vector<transport::run> result;
  std::uint64_t at = 0;
  while (total > 0) {
    auto bytes = 1 + random() % std::min<std::uint64_t>(total, 64);
    auto count = static_cast<std::uint32_t>(1 + random() % std::min<std::uint64_t>(total / bytes, 4));
    auto stride = bytes + random() % 3 * 8;
    transport::run r{at + random() % 4, bytes, stride, count};
    at = r.offset + stride * (count - 1) + bytes;
    REQUIRE(at <= region_bytes);
    total -= bytes * count;
    result.push_back(r);
  }
  return result;
}

/// Of each byte of the runs, in order.
inline std::vector<std::uint64_t> offsets_of(const std::vector<transport::run>& runs) {
  std::vector<std::uint64_t> result;
  for (auto& r : runs)
    for (std::uint32_t piece = 0; piece < r.count; ++piece)
      for (std::uint64_t b = 0; b < r.bytes; ++b)
        result.push_back(r.offset + piece * r.stride + b);
  return result;
}

} // namespace troupe::test
