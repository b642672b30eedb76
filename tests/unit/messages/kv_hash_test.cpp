// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include <xxhash.h>

#include "messages/kv/block_hash.hpp"
#include "messages/kv/checksum.hpp"

using namespace troupe;

namespace {

constexpr std::size_t block_tokens = 16;
using hashes = std::vector<std::uint64_t>;

std::vector<token_id> counting(token_id from, std::size_t count) {
  std::vector<token_id> result(count);
  std::iota(result.begin(), result.end(), from);
  return result;
}

hashes block_hashes(const std::vector<token_id>& tokens, std::uint64_t seed = block_hash_seed) {
  hashes result;
  for (std::size_t at = 0; at + block_tokens <= tokens.size(); at += block_tokens)
    result.push_back(block_hash(std::span{tokens}.subspan(at, block_tokens), seed));
  return result;
}

hashes chain(const hashes& blocks) {
  hashes result;
  std::optional<std::uint64_t> parent;
  for (auto block : blocks)
    result.push_back(*(parent = chain_block_hash(parent, block)));
  return result;
}

std::vector<std::byte> bytes_of(std::size_t count) {
  std::vector<std::byte> result(count);
  for (std::size_t i = 0; i < count; ++i)
    result[i] = static_cast<std::byte>(i * 31 + i / 256);
  return result;
}

// The definition, word by word.
std::uint64_t checksum_reference(std::span<const std::byte> block) {
  hashes sums;
  for (std::size_t at = 0; at < block.size(); at += 4096) {
    auto lane = block.subspan(at, std::min<std::size_t>(4096, block.size() - at));
    sums.push_back(XXH3_64bits(lane.data(), lane.size()));
  }
  return XXH3_64bits(sums.data(), sums.size() * 8);
}

} // namespace

TEST_CASE("block hashes and their chain are those that Dynamo 1.6.1 computes") {
  CHECK(block_hashes(counting(0, 16)) == hashes{0xd47a8f41c833328a});
  CHECK(block_hashes(counting(0, 32)) == hashes{0xd47a8f41c833328a, 0xd43939178abd00db});
  CHECK(chain(block_hashes(counting(0, 32))) == hashes{0xd47a8f41c833328a, 0xbf15dffb16447f38});
  CHECK(block_hashes(counting(1, 64))
        == hashes{0xea06fc71a5ee6e88, 0x1fbf39bd106be0b5, 0xa8562fe663b7a097, 0x4bad57d34048b86a});
  CHECK(chain(block_hashes(counting(1, 64)))
        == hashes{0xea06fc71a5ee6e88, 0xad01835a37dd294c, 0x0d55e56c2bccbd1a, 0x445502a8048d6688});
}

TEST_CASE("adapter and tenant enter the seed as in Dynamo 1.6.1") {
  auto tokens = counting(0, 32);
  CHECK(salted_seed("", "") == block_hash_seed);
  CHECK(block_hashes(tokens, salted_seed("my-lora", "")) == hashes{0x6be4509617b3e757, 0x9ce9cc8fb06f4f33});
  CHECK(block_hashes(tokens, salted_seed("", "tenant-a")) == hashes{0x1d92885ff53eb398, 0xc70af6a11539679f});
  CHECK(block_hashes(tokens, salted_seed("my-lora", "tenant-a")) == hashes{0x812cf7f378132bdd, 0x61d31f20c185481f});
}

TEST_CASE("the block checksum is the tree that the design defines, at every size around its lanes") {
  for (std::size_t size :
       {0U, 1U, 4095U, 4096U, 4097U, 8192U, 64U * 4096U - 1, 64U * 4096U, 64U * 4096U + 1, 1'000'000U}) {
    CAPTURE(size);
    auto block = bytes_of(size);
    CHECK(kv_checksum(block) == checksum_reference(block));
  }
}

TEST_CASE("one flipped bit or two swapped lanes change the checksum") {
  auto block = bytes_of(5 * 4096 + 100);
  auto right = kv_checksum(block);
  for (std::size_t at = 0; at < block.size(); at += 97) {
    block[at] ^= std::byte{0x10};
    CHECK(kv_checksum(block) != right);
    block[at] ^= std::byte{0x10};
  }
  CHECK(kv_checksum(block) == right);
  std::swap_ranges(block.begin(), block.begin() + 4096, block.begin() + 4096);
  CHECK(kv_checksum(block) != right);
}
