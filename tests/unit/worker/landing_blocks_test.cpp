// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <vector>

#include <doctest/doctest.h>

#include "actors/worker/landing_blocks.hpp"
#include "messages/kv/checksum.hpp"

using namespace troupe;
using arrival = landing_blocks::arrival;

namespace {

constexpr std::size_t block_bytes = 64;

/// Memory of two groups of ten blocks, each filled with a byte of its own, and how often each was read.
struct memory {
  memory() {
    for (std::size_t g = 0; g < 2; ++g)
      for (block_id b = 0; b < 10; ++b)
        bytes[g].insert(bytes[g].end(), block_bytes, static_cast<std::byte>(10 * g + b));
  }
  std::span<const std::byte> block(std::size_t group, block_id b) const {
    return std::span{bytes[group]}.subspan(b * block_bytes, block_bytes);
  }
  landing_blocks::block_reader reader() {
    return [this](std::size_t group, block_id b) {
      ++reads[{group, b}];
      return block(group, b);
    };
  }
  std::vector<std::uint64_t> checksums(std::size_t group, const std::vector<block_id>& of) const {
    std::vector<std::uint64_t> result;
    for (auto b : of)
      result.push_back(kv_checksum(block(group, b)));
    return result;
  }

  std::array<std::vector<std::byte>, 2> bytes;
  std::map<std::pair<std::size_t, block_id>, int> reads;
};

const std::vector<block_id> full{4, 2, 9};
const std::vector<block_id> sliding{1, 7};
/// Blocks 5 to 7 of the prompt's tables, and 6 and 7 in the sliding group.
block_runs missing() { return {block_run{5, full}, block_run{6, sliding}}; }

/// All have arrived, in some order.
landing_blocks arrived() {
  landing_blocks result{missing()};
  for (auto [group, index] : {std::pair{0u, 7u}, {1u, 6u}, {0u, 5u}, {1u, 7u}, {0u, 6u}})
    result.arrive(group, index);
  return result;
}

} // namespace

TEST_CASE("a landing counts each of its blocks once, and no other") {
  landing_blocks tested{missing()};
  CHECK(tested.arrive(0, 4) == arrival::not_wanted);
  CHECK(tested.arrive(0, 8) == arrival::not_wanted);
  CHECK(tested.arrive(1, 5) == arrival::not_wanted);
  CHECK(tested.arrive(2, 6) == arrival::not_wanted);
  CHECK(tested.arrive(0, 6) == arrival::first);
  CHECK(tested.arrive(0, 6) == arrival::repeated);
  CHECK(tested.arrive(0, 5) == arrival::first);
  CHECK(tested.arrive(0, 7) == arrival::first);
  CHECK(tested.arrive(1, 7) == arrival::first);
  CHECK(!tested.all_arrived());
  CHECK(tested.arrive(1, 6) == arrival::first);
  CHECK(tested.all_arrived());
}

TEST_CASE("each block is read once to be hashed, and what it becomes later changes nothing") {
  memory m;
  landing_blocks tested{missing()};
  CHECK(!tested.has_unhashed());
  tested.arrive(0, 6);
  CHECK(tested.has_unhashed());
  CHECK(tested.hash_next(m.reader()) == block_bytes);
  CHECK(!tested.has_unhashed());
  tested.arrive(0, 6);
  CHECK(!tested.has_unhashed());
  for (auto [group, index] : {std::pair{0u, 7u}, {1u, 6u}, {0u, 5u}, {1u, 7u}}) {
    tested.arrive(group, index);
    tested.hash_next(m.reader());
  }
  CHECK(m.reads.size() == full.size() + sliding.size());
  for (auto& [block, count] : m.reads)
    CHECK(count == 1);
  const std::vector expected{m.checksums(0, full), m.checksums(1, sliding)};
  CHECK(tested.first_bad(expected) == std::nullopt);
  CHECK(tested.first_bad(expected) == std::nullopt);
  CHECK(m.reads.size() == full.size() + sliding.size());
}

TEST_CASE("the first bad block is that of the smallest index in either group") {
  struct damage {
    std::vector<std::pair<std::size_t, block_id>> blocks;
    std::uint32_t first = 0;
  };
  for (auto& [blocks, first] : {damage{{{0, 4}}, 5}, damage{{{0, 2}}, 6}, damage{{{0, 9}}, 7}, damage{{{1, 1}}, 6},
                                damage{{{1, 7}}, 7}, damage{{{0, 9}, {1, 1}}, 6}, damage{{{0, 4}, {1, 1}}, 5}}) {
    memory m;
    const std::vector expected{m.checksums(0, full), m.checksums(1, sliding)};
    for (auto [group, block] : blocks)
      m.bytes[group][block * block_bytes + 13] ^= std::byte{1};
    auto tested = arrived();
    while (tested.has_unhashed())
      tested.hash_next(m.reader());
    CHECK(tested.first_bad(expected) == first);
  }
}

TEST_CASE("checksums of more or fewer blocks than are missing make all of them bad") {
  memory m;
  auto tested = arrived();
  while (tested.has_unhashed())
    tested.hash_next(m.reader());
  CHECK(tested.first_bad({m.checksums(0, {4, 2}), m.checksums(1, sliding)}) == 0);
  CHECK(tested.first_bad({m.checksums(0, full), m.checksums(1, {1, 7, 8})}) == 0);
}
