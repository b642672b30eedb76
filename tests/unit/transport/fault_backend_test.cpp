// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fault_backend.hpp"

#include <doctest/doctest.h>

#include <bit>

#include "tests/support/transport_fixture.hpp"

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

constexpr std::uint64_t block_bytes = 512;
constexpr std::uint32_t blocks = 4;

// One node: a back end that writes from one of its regions into another.
struct node {
  std::vector<std::byte> source = std::vector<std::byte>(blocks * block_bytes, std::byte{0x5a});
  std::vector<std::byte> target = std::vector<std::byte>(blocks * block_bytes * 2);
  fault_backend bytes;
  region_id from = *bytes.add_region({source.data(), source.size()});
  region_id to = *bytes.add_region({target.data(), target.size()});
  remote_region landing = *bytes.import(bytes.self(), *bytes.describe(to, bytes.self()));

  explicit node(fault_policy policy) : bytes(make_memory(std::make_shared<memory_fabric>()), std::move(policy)) {}

  // Spread in the target, so that a flip has to find its byte among pieces.
  expected<ticket, error> write(std::uint32_t block) {
    run flat{block * block_bytes, block_bytes};
    run spread{block * block_bytes * 2, 16, 32, block_bytes / 16};
    return bytes.write(from, std::span{&flat, 1}, landing, std::span{&spread, 1}, std::as_bytes(std::span{&block, 1}),
                       soon());
  }
  int wrong_bits() const {
    int wrong = 0;
    for (std::size_t i = 0; i < target.size(); ++i) {
      auto right = i / 16 % 2 == 0 ? std::byte{0x5a} : std::byte{0};
      wrong += std::popcount(std::to_integer<unsigned>(target[i] ^ right));
    }
    return wrong;
  }
  int wrong_bits_of(std::uint32_t block) const {
    int wrong = 0;
    for (std::size_t i = block * block_bytes * 2; i < (block + 1) * block_bytes * 2; ++i)
      wrong += i / 16 % 2 == 0 ? std::popcount(std::to_integer<unsigned>(target[i] ^ std::byte{0x5a})) : 0;
    return wrong;
  }
};

} // namespace

TEST_CASE("without a fault the decorated transport behaves as its inner one") {
  node n{{}};
  for (std::uint32_t b = 0; b < blocks; ++b)
    REQUIRE(n.write(b));
  auto all = await_news(n.bytes, blocks, blocks);
  CHECK(all.completions.size() == blocks);
  CHECK(all.arrivals.size() == blocks);
  CHECK(n.wrong_bits() == 0);
  CHECK(n.bytes.bytes_moved() == blocks * block_bytes);
  CHECK_FALSE(is_readable(n.bytes));
}

TEST_CASE("a flipped bit is in the payload of the chosen write, before its arrival is told") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    node n{{.seed = seed, .flip = {2}}};
    for (std::uint32_t b = 0; b < blocks; ++b) {
      REQUIRE(n.write(b));
      REQUIRE(await_news(n.bytes, 1, 1).arrivals.size() == 1);
      CHECK(n.wrong_bits_of(b) == (b == 2 ? 1 : 0));
    }
    CHECK(n.wrong_bits() == 1); // and not between the pieces
    CHECK(n.bytes.flips() == 1);
  }
}

TEST_CASE("a refused write answers no_credit and moves nothing") {
  node n{{.refuse = {1}}};
  CHECK(n.write(0));
  CHECK(n.write(1).error().code == errc::no_credit);
  CHECK(n.write(2));
  CHECK(await_news(n.bytes, 2, 2).completions.size() == 2);
  CHECK(n.bytes.bytes_moved() == 2 * block_bytes);
  CHECK(n.bytes.writes() == 3);
}

TEST_CASE("held news waits for release, dropped news never comes") {
  node n{{.drop_completion = {3}, .drop_arrival = {0}, .hold_completion = {1}, .hold_arrival = {2}}};
  for (std::uint32_t b = 0; b < blocks; ++b)
    REQUIRE(n.write(b));
  auto fence = *n.bytes.fence(n.bytes.self());
  auto all = await_news(n.bytes, 3, 2); // completions 0, 2, fence; arrivals 1, 3
  REQUIRE(all.completions.size() == 3);
  CHECK(all.completions.back().what == fence);
  REQUIRE(all.arrivals.size() == 2);
  CHECK(all.arrivals[0].note[0] == std::byte{1});
  CHECK(all.arrivals[1].note[0] == std::byte{3});
  CHECK(n.bytes.held() == 2);
  CHECK_FALSE(is_readable(n.bytes));
  n.bytes.release();
  CHECK(is_readable(n.bytes));
  auto later = await_news(n.bytes, 1, 1);
  CHECK(later.completions.size() == 1);
  REQUIRE(later.arrivals.size() == 1);
  CHECK(later.arrivals[0].note[0] == std::byte{2});
  CHECK_FALSE(is_readable(n.bytes));
}

TEST_CASE("delayed news comes that many polls later, and the descriptor stays readable") {
  node n{{.delay_polls = 3}};
  REQUIRE(n.write(0));
  std::array<completion, 1> ended;
  pollfd fd{n.bytes.wake_fd(), POLLIN, 0};
  REQUIRE(::poll(&fd, 1, 10'000) == 1);
  for (int i = 0; i < 3; ++i) {
    CHECK(n.bytes.poll(ended, {}).completions == 0);
    CHECK(is_readable(n.bytes));
  }
  CHECK(n.bytes.poll(ended, {}).completions == 1);
}
