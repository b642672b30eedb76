// SPDX-License-Identifier: Apache-2.0
#include "transport/runs.hpp"

#include <doctest/doctest.h>

#include <array>
#include <random>
#include <vector>

using namespace troupe;
using namespace troupe::transport;

namespace {

constexpr std::uint64_t huge = ~std::uint64_t{0};

errc code_of(std::vector<run> runs, std::uint64_t region_bytes) {
  auto total = check_runs(runs, region_bytes, 4);
  return total ? errc::none : total.error().code;
}

// Every byte offset of the runs, one at a time.
std::vector<std::uint64_t> reference(const std::vector<run>& runs) {
  std::vector<std::uint64_t> result;
  for (auto& r : runs)
    for (std::uint32_t piece = 0; piece < r.count; ++piece)
      for (std::uint64_t b = 0; b < r.bytes; ++b)
        result.push_back(r.offset + piece * r.stride + b);
  return result;
}

} // namespace

TEST_CASE("runs are accepted up to the last byte of their region and not beyond") {
  CHECK(code_of({{0, 100}}, 100) == errc::none);
  CHECK(code_of({{1, 100}}, 100) == errc::out_of_range);
  CHECK(code_of({{0, 10, 30, 4}}, 100) == errc::none);
  CHECK(code_of({{1, 10, 30, 4}}, 100) == errc::out_of_range);
  CHECK(code_of({{0, 10, 30, 5}}, 100) == errc::out_of_range);
  CHECK(code_of({{0, 100}, {50, 50}}, 100) == errc::none);
  CHECK(*check_runs(std::vector<run>{{0, 10, 30, 4}, {5, 7}}, 100, 4) == 47);
}

TEST_CASE("runs whose arithmetic wraps around are refused") {
  CHECK(code_of({{huge, 1}}, 100) == errc::out_of_range);
  CHECK(code_of({{huge, huge}}, huge) == errc::out_of_range);
  CHECK(code_of({{1, huge}}, 100) == errc::out_of_range);
  CHECK(code_of({{0, 1, std::uint64_t{1} << 63, 3}}, 100) == errc::out_of_range);
  CHECK(code_of({{0, 8, huge, 2}}, 100) == errc::out_of_range);
  CHECK(code_of({{0, std::uint64_t{1} << 62, std::uint64_t{1} << 62, 4}}, 100) == errc::out_of_range);
  CHECK(code_of({{0, huge}, {0, huge}}, huge) == errc::invalid_argument);
  // With one piece the stride means nothing.
  CHECK(code_of({{0, 100, huge, 1}}, 100) == errc::none);
}

TEST_CASE("empty, self-overlapping and too many runs are refused") {
  CHECK(code_of({}, 100) == errc::invalid_argument);
  CHECK(code_of({{0, 0}}, 100) == errc::invalid_argument);
  CHECK(code_of({{0, 1, 1, 0}}, 100) == errc::invalid_argument);
  CHECK(code_of({{0, 10, 9, 2}}, 100) == errc::invalid_argument);
  CHECK(code_of({{0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}}, 100) == errc::invalid_argument);
}

TEST_CASE("a walk visits every byte once, in order, whatever the steps") {
  std::mt19937_64 random{7};
  for (int round = 0; round < 500; ++round) {
    CAPTURE(round);
    std::vector<run> runs(1 + random() % 5);
    for (auto& r : runs) {
      r.offset = random() % 100;
      r.bytes = 1 + random() % 20;
      r.stride = r.bytes + random() % 3 * 5;
      r.count = static_cast<std::uint32_t>(1 + random() % 4);
    }
    std::vector<std::uint64_t> visited;
    run_walker walker{runs};
    while (!walker.done()) {
      auto bytes = random() % 2 == 0 ? walker.contiguous() : 1 + random() % walker.contiguous();
      for (std::uint64_t b = 0; b < bytes; ++b)
        visited.push_back(walker.offset() + b);
      walker.advance(bytes);
    }
    CHECK(visited == reference(runs));
  }
}

TEST_CASE("pieces that follow each other are one contiguous piece") {
  std::vector<run> dense{{8, 4, 4, 16}};
  run_walker walker{dense};
  CHECK(walker.contiguous() == 64);
  walker.advance(6);
  CHECK(walker.offset() == 14);
  CHECK(walker.contiguous() == 58);
}
