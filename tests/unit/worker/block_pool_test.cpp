// SPDX-License-Identifier: Apache-2.0
#include "actors/worker/block_pool.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "actors/worker/sequence_hash.hpp"

using namespace troupe;

namespace {

using tokens = std::vector<token_id>;

std::uint64_t always_the_same(std::optional<std::uint64_t>, std::span<const token_id>) { return 42; }

/// Equal for every first block, honest after.
std::uint64_t blind_at_the_start(std::optional<std::uint64_t> parent, std::span<const token_id> x) {
  return parent ? sequence_hash(parent, x) : 42;
}

constexpr std::uint32_t size = 2;

std::vector<std::uint64_t> hashes_of(const block_pool& pool, const tokens& x) {
  std::vector<std::uint64_t> hashes;
  for (std::size_t i = 0; i + size <= x.size(); i += size)
    hashes.push_back(
      pool.hash(hashes.empty() ? std::nullopt : std::optional{hashes.back()}, std::span{x}.subspan(i, size)));
  return hashes;
}

/// Takes blocks for a run of tokens and completes them.
std::vector<block_id> fill(block_pool& pool, const tokens& x) {
  const auto hashes = hashes_of(pool, x);
  std::vector<block_id> table;
  auto content = block_pool::root_content;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    table.push_back(pool.take().value());
    content = pool.complete(table.back(), std::span{x}.subspan(i * size, size), hashes[i], content);
  }
  return table;
}

void drop_all(block_pool& pool, const std::vector<block_id>& table) {
  for (auto b = table.rbegin(); b != table.rend(); ++b)
    pool.drop(*b);
}

std::vector<block_id> find(const block_pool& pool, const tokens& x) { return pool.find(x, hashes_of(pool, x)); }

} // namespace

TEST_CASE("the hash of a chain starts with the hash of its first block and depends on all of it") {
  const tokens a{1, 2}, b{3, 4};
  const auto first = sequence_hash(std::nullopt, a);
  CHECK(first != sequence_hash(std::nullopt, b));
  CHECK(sequence_hash(first, b) != sequence_hash(std::nullopt, b));
  CHECK(sequence_hash(first, b) != sequence_hash(sequence_hash(std::nullopt, b), b));
}

TEST_CASE("every block can be taken once, and is free when its holder drops it") {
  block_pool pool{3, size, sequence_hash};
  std::vector<block_id> all;
  while (const auto b = pool.take())
    all.push_back(*b);
  std::ranges::sort(all);
  CHECK(all == std::vector<block_id>{0, 1, 2});
  CHECK(pool.free_blocks() == 0);
  pool.drop(1);
  CHECK(pool.free_blocks() == 1);
  CHECK(pool.take() == 1u);
  CHECK(pool.check() == std::nullopt);
}

TEST_CASE("a completed prefix is found while it is held and after, as far as it is equal") {
  block_pool pool{8, size, sequence_hash};
  const tokens x{1, 2, 3, 4, 5, 6};
  const auto table = fill(pool, x);
  CHECK(find(pool, x) == table);
  CHECK(find(pool, {1, 2, 3, 4, 5, 7}) == std::vector{table[0], table[1]});
  CHECK(find(pool, {3, 4}).empty());
  drop_all(pool, table);
  CHECK(pool.free_blocks() == 8);
  CHECK(find(pool, x) == table);
  CHECK(pool.check() == std::nullopt);
}

TEST_CASE("a held block of the cache is not free, and is shared by reference count") {
  block_pool pool{2, size, sequence_hash};
  const auto table = fill(pool, {1, 2});
  pool.hold(table[0]);
  CHECK(pool.references(table[0]) == 2);
  pool.drop(table[0]);
  CHECK(pool.free_blocks() == 1);
  pool.drop(table[0]);
  CHECK(pool.free_blocks() == 2);
  pool.hold(table[0]);
  CHECK(pool.free_blocks() == 1);
  CHECK(pool.check() == std::nullopt);
}

TEST_CASE("the least recently held content is evicted first, a chain from its end") {
  block_pool pool{4, size, sequence_hash};
  const auto a = fill(pool, {1, 2, 3, 4});
  const auto b = fill(pool, {5, 6, 7, 8});
  drop_all(pool, a);
  drop_all(pool, b);
  for (const auto x : a)
    pool.hold(x);
  drop_all(pool, a); // now b is the older one
  CHECK(pool.take() == b[1]);
  CHECK(find(pool, {5, 6, 7, 8}) == std::vector{b[0]});
  CHECK(pool.take() == b[0]);
  CHECK(pool.take() == a[1]);
  CHECK(find(pool, {1, 2, 3, 4}) == std::vector{a[0]});
  CHECK(pool.check() == std::nullopt);
}

TEST_CASE("reset blocks are taken before cached ones are evicted") {
  block_pool pool{3, size, sequence_hash};
  const auto a = fill(pool, {1, 2});
  drop_all(pool, a);
  CHECK(pool.take() != a[0]);
  CHECK(pool.take() != a[0]);
  CHECK(find(pool, {1, 2}) == a);
  CHECK(pool.take() == a[0]);
  CHECK(find(pool, {1, 2}).empty());
}

TEST_CASE("content that is computed twice is registered once, and both holders go on") {
  block_pool pool{8, size, sequence_hash};
  const auto a = fill(pool, {1, 2, 3, 4});
  const auto b = fill(pool, {1, 2, 3, 4, 5, 6});
  CHECK(pool.state(b[0]) == block_state::complete);
  CHECK(pool.state(b[2]) == block_state::registered);
  CHECK(find(pool, {1, 2, 3, 4, 5, 6}) == std::vector{a[0], a[1], b[2]});
  drop_all(pool, b);
  drop_all(pool, a);
  CHECK(pool.free_blocks() == 8);
  CHECK(pool.check() == std::nullopt);
}

TEST_CASE("a block whose hash collides with other tokens is not found for them") {
  block_pool pool{4, size, always_the_same};
  const auto a = fill(pool, {1, 2});
  CHECK(find(pool, {3, 4}).empty());
  const auto b = fill(pool, {3, 4, 5, 6});
  CHECK(pool.content(b[0]) == block_pool::no_content);
  CHECK(find(pool, {3, 4, 5, 6}).empty());
  CHECK(find(pool, {1, 2}) == a);
  CHECK(pool.check() == std::nullopt);
}

TEST_CASE("equal tokens after another beginning are not found, though the hash is equal") {
  block_pool pool{6, size, blind_at_the_start};
  const auto b = fill(pool, {1, 2, 9, 9});
  pool.drop(b[1]);
  pool.drop(b[0]);
  pool.hold(b[1]); // keep the second block, evict the first
  for (int i = 0; i < 5; ++i)
    REQUIRE(pool.take());
  const auto c = find(pool, {7, 7, 9, 9});
  CHECK(c.empty());
  CHECK(pool.references(b[0]) == 1);
  pool.complete(b[0], tokens{7, 7}, 42, block_pool::root_content);
  // The hash of the second block is that of (7 7 9 9), and its tokens are equal too.
  CHECK(find(pool, {7, 7, 9, 9}) == std::vector{b[0]});
  CHECK(pool.check() == std::nullopt);
}

TEST_CASE("a block in quarantine is neither free nor given until it is readmitted") {
  block_pool pool{2, size, sequence_hash};
  const auto b = pool.take().value();
  pool.quarantine(b);
  CHECK(pool.free_blocks() == 1);
  CHECK(pool.quarantined_blocks() == 1);
  CHECK(pool.take().has_value());
  CHECK(!pool.take());
  CHECK(pool.check() == std::nullopt);
  pool.readmit(b);
  CHECK(pool.take() == b);
}

TEST_CASE("forgotten contents are not found, and their blocks are free") {
  block_pool pool{4, size, sequence_hash};
  drop_all(pool, fill(pool, {1, 2, 3, 4}));
  pool.forget_contents();
  CHECK(find(pool, {1, 2, 3, 4}).empty());
  CHECK(pool.free_blocks() == 4);
  CHECK(pool.check() == std::nullopt);
}
