// SPDX-License-Identifier: Apache-2.0
// After a fence nothing that the peer posted before it lands, whatever state the peer is in.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <random>

#include "tests/support/tcp_fixture.hpp"

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

constexpr std::size_t block_bytes = 16 * 1024;

bool is_all(const std::vector<std::byte>& memory, std::byte value) {
  return std::all_of(memory.begin(), memory.end(), [&](std::byte b) { return b == value; });
}

void fill(std::vector<std::byte>& memory, std::byte value) { std::fill(memory.begin(), memory.end(), value); }

// Whether a write to `target` works again at some time soon.
bool writes_again(tcp_pair& p) { return p.write({0, 8}, {0, 8}).has_value() && p.result() == errc::none; }

errc await_fence(tcp_endpoint& owner, peer_id about) {
  auto what = owner.bytes->fence(about);
  REQUIRE(what);
  auto all = await_news(*owner.bytes, 1, 0).completions;
  REQUIRE(all.size() == 1);
  CHECK(all[0].what == *what);
  return all[0].result;
}

} // namespace

TEST_CASE("tcp: a fence ends after everything that the peer posted before it, and nothing lands later") {
  constexpr std::uint32_t blocks = 64;
  tcp_pair p{blocks * block_bytes};
  std::mt19937_64 random{11};
  std::size_t landed_in_all = 0;
  for (unsigned round = 1; round <= 30; ++round) {
    CAPTURE(round);
    fill(p.here.memory, static_cast<std::byte>(round));
    std::vector<ticket> posted;
    for (std::uint32_t b = 0; b < blocks; ++b)
      posted.push_back(*p.write({b * block_bytes, block_bytes}, {b * block_bytes, block_bytes}, "n"));
    for (auto what : posted)
      if (random() % 3 == 0)
        p.here.bytes->cancel(what);
    auto fence = p.there.bytes->fence(p.here.bytes->self());
    REQUIRE(fence);
    auto fenced = await_news(*p.there.bytes, 1, 0);
    REQUIRE(fenced.completions.size() == 1);
    CHECK(fenced.completions[0].what == *fence);
    CHECK(fenced.completions[0].result == errc::none);
    // The memory belongs to the owner now: what it writes there stays. (TSan sees a late write, too.)
    fill(p.there.memory, std::byte{0xee});
    auto ended = await_news(*p.here.bytes, blocks, 0);
    REQUIRE(ended.completions.size() == blocks);
    auto landed = static_cast<std::size_t>(std::count_if(ended.completions.begin(), ended.completions.end(),
                                                         [](auto& c) { return c.result == errc::none; }));
    CHECK(is_all(p.there.memory, std::byte{0xee}));
    // Arrivals are those that landed, no more.
    auto arrivals = fenced.arrivals.size();
    arrivals += await_news(*p.there.bytes, 0, landed - std::min(landed, arrivals)).arrivals.size();
    CHECK(arrivals == landed);
    landed_in_all += landed;
  }
  CHECK(landed_in_all > 0);
}

TEST_CASE("tcp: a fence about a peer whose connection is being made ends at once, and nothing lands later") {
  tcp_pair p{block_bytes};
  p.here.memory[0] = std::byte{5};
  for (int round = 0; round < 200; ++round) {
    // Posted; whether the connection is there yet is a matter of microseconds.
    REQUIRE(p.write({0, block_bytes}, {0, block_bytes}));
    CHECK(await_fence(p.there, p.here.bytes->self()) == errc::none);
    fill(p.there.memory, std::byte{0xee});
    auto result = p.result();
    CHECK((result == errc::none || result == errc::peer_gone));
    CHECK(is_all(p.there.memory, std::byte{0xee}));
    CHECK(writes_again(p));
    // The connection of the next round is a new one.
    p.here.bytes->forget(p.there.bytes->self());
    p.target = p.there.open_to(p.here);
  }
}

TEST_CASE("tcp: what a peer posted before it was fenced unseen is discarded when it connects, and later writes land") {
  tcp_endpoint here{64};
  tcp_endpoint there{64};
  here.memory[0] = std::byte{0x77};
  // The test is the road between them.
  raw_owner road;
  road.self = there.bytes->self();
  auto described = *tcp_description_from_text(*there.bytes->describe(there.region, here.bytes->self()));
  auto real = described.where;
  described.where = road.where;
  auto target = *here.bytes->import(road.self, to_text(described));
  REQUIRE(here.write({0, 1}, target, {0, 1}));
  REQUIRE(road.take());
  CHECK(await_fence(there, here.bytes->self()) == errc::none);
  raw_peer rest_of_road{real, here.bytes->self(), there.bytes->self()};
  auto greeting = rest_of_road.receive_hello();
  REQUIRE(greeting);
  CHECK(greeting->posted_before == backlog::discard);
  road.send(encode(*greeting));
  CHECK(await_news(*here.bytes, 1, 0).completions.at(0).result == errc::peer_gone);
  REQUIRE(here.write({0, 1}, target, {1, 1}));
  std::vector<std::byte> write(frame_bytes + run_bytes + 1 + trailer_bytes);
  REQUIRE(::recv(road.connection.get(), write.data(), write.size(), MSG_WAITALL) == static_cast<ssize_t>(write.size()));
  rest_of_road.send(write);
  road.send(encode(rest_of_road.receive_frame().value()));
  CHECK(await_news(*here.bytes, 1, 0).completions.at(0).result == errc::none);
  CHECK(there.memory[0] == std::byte{0});
  CHECK(there.memory[1] == std::byte{0x77});
}

TEST_CASE("tcp: a peer answers a fence behind every write that it has posted, however many wait") {
  constexpr std::size_t size = 4 << 20;
  constexpr std::uint64_t writes = 16; // more than the kernel buffers
  tcp_endpoint here{size};
  raw_owner owner;
  auto target = owner.open_to(here);
  for (std::uint64_t i = 0; i < writes; ++i)
    REQUIRE(here.write({0, size}, target, {0, size}));
  REQUIRE(owner.take());
  owner.send(encode(hello{.from = owner.self, .to = here.bytes->self(), .connection = 1}));
  owner.send(encode(frame{.kind = frame_kind::fence, .number = 123}));
  for (std::uint64_t i = 1; i <= writes; ++i) {
    auto head = owner.receive_frame();
    REQUIRE(head.kind == frame_kind::write);
    CHECK(head.number == i);
    REQUIRE(owner.receive(run_bytes + size + trailer_bytes));
  }
  CHECK(owner.receive_frame() == frame{.kind = frame_kind::fenced, .number = 123});
}

TEST_CASE("tcp: a fence can be cancelled, and one about a peer that is gone or unknown ends at once") {
  tcp_endpoint here{64};
  CHECK(await_fence(here, peer_id{77}) == errc::none);
  auto gone = next_peer();
  {
    raw_peer other{here.bytes->where(), gone, here.bytes->self()}; // never answers
    REQUIRE(other.receive_hello());
    auto cancelled = here.bytes->fence(gone);
    here.bytes->cancel(*cancelled);
    auto all = await_news(*here.bytes, 1, 0).completions;
    REQUIRE(all.size() == 1);
    CHECK(all[0].result == errc::cancelled);
    auto pending = here.bytes->fence(gone);
    other.close();
    all = await_news(*here.bytes, 1, 0).completions;
    REQUIRE(all.size() == 1);
    CHECK(all[0].what == *pending);
    CHECK(all[0].result == errc::none);
  }
  CHECK(await_fence(here, gone) == errc::none);
}

TEST_CASE("tcp: a peer that stops in the middle of a payload is fenced in time, and no byte changes afterwards") {
  constexpr std::size_t size = 4 << 20;
  constexpr std::size_t half = size / 2;
  auto fence_time_max = std::chrono::milliseconds{300};
  tcp_endpoint owner{size, {.fence_time_max = fence_time_max}};
  auto self = next_peer();
  auto target = *tcp_description_from_text(*owner.bytes->describe(owner.region, self));
  raw_peer peer{owner.bytes->where(), self, owner.bytes->self()};
  auto greeted = peer.receive_hello();
  REQUIRE(greeted);
  run whole{0, size};
  peer.send(raw_write(target, 1, std::span{&whole, 1}, size, "n"));
  std::vector<std::byte> payload(half, std::byte{0x77});
  peer.send(payload);
  auto begin = std::chrono::steady_clock::now();
  CHECK(await_fence(owner, self) == errc::none);
  auto took = std::chrono::steady_clock::now() - begin;
  CHECK(took >= fence_time_max);
  CHECK(took < fence_time_max + std::chrono::seconds{3});
  CHECK(owner.memory[0] == std::byte{0x77}); // it had begun
  fill(owner.memory, std::byte{0xee});
  // The peer goes on.
  peer.send(payload);
  peer.send(encode_trailer(errc::none));
  CHECK(peer.receive_frame().value().kind == frame_kind::fence);
  CHECK(peer.is_closed());
  CHECK(is_all(owner.memory, std::byte{0xee}));
  CHECK_FALSE(is_readable(*owner.bytes)); // and no arrival
  // It comes again, knowing that the connection was closed, and works.
  raw_peer again{owner.bytes->where()};
  again.send(encode(hello{.from = self, .to = owner.bytes->self(), .connection = greeted->connection}));
  auto welcome = again.receive_hello();
  REQUIRE(welcome);
  CHECK(welcome->posted_before == backlog::keep);
  run eight{0, 8};
  again.send(raw_write(target, 2, std::span{&eight, 1}, 8, "n"));
  again.send(std::span{payload}.first(8));
  again.send(encode_trailer(errc::none));
  CHECK(again.receive_frame().value().result == errc::none);
  CHECK(owner.memory[7] == std::byte{0x77});
  CHECK(await_news(*owner.bytes, 0, 1).arrivals.size() == 1);
}

TEST_CASE("tcp: a fence waits for the answer on the connection that replaces a peer's earlier one") {
  tcp_endpoint owner{64};
  auto self = next_peer();
  auto target = *tcp_description_from_text(*owner.bytes->describe(owner.region, self));
  raw_peer first{owner.bytes->where(), self, owner.bytes->self()};
  REQUIRE(first.receive_hello());
  auto fence = owner.bytes->fence(self);
  REQUIRE(fence);
  raw_peer second{owner.bytes->where(), self, owner.bytes->self()};
  REQUIRE(second.receive_hello());
  CHECK(first.receive_frame().value().number == fence->value);
  CHECK(first.is_closed());
  CHECK_FALSE(is_readable(*owner.bytes));
  // Posted before the answer: it lands before the fence ends.
  run one{0, 1};
  second.send(raw_write(target, 1, std::span{&one, 1}, 1));
  second.send(std::array{std::byte{0x77}});
  second.send(encode_trailer(errc::none));
  CHECK(second.receive_frame().value().kind == frame_kind::fence);
  second.send(encode(frame{.kind = frame_kind::fenced, .number = fence->value}));
  CHECK(await_news(*owner.bytes, 1, 0).completions.at(0).what == *fence);
  CHECK(owner.memory[0] == std::byte{0x77});
}

TEST_CASE("tcp: a fence passes writes that wait for arrivals to be polled, and nothing lands later") {
  auto fence_time_max = std::chrono::milliseconds{300};
  tcp_endpoint here{block_bytes};
  tcp_endpoint there{block_bytes, {.transfers_max = 2, .fence_time_max = fence_time_max}};
  auto target = there.open_to(here);
  for (int i = 0; i < 8; ++i)
    REQUIRE(here.write({0, block_bytes}, target, {0, block_bytes}, "n"));
  REQUIRE(await_news(*here.bytes, 2, 0).completions.size() == 2);
  REQUIRE(there.bytes->fence(here.bytes->self()));
  std::array<completion, 1> ended;
  auto patience = soon();
  while (there.bytes->poll(ended, {}).completions == 0 && std::chrono::steady_clock::now() < patience) {
    pollfd fd{there.bytes->wake_fd(), POLLIN, 0};
    ::poll(&fd, 1, 1);
  }
  fill(there.memory, std::byte{0xee});
  for (auto& c : await_news(*here.bytes, 6, 0).completions)
    CHECK(c.result == errc::peer_gone);
  std::array<arrival, 8> arrived;
  CHECK(there.bytes->poll({}, arrived).arrivals == 2);
  CHECK(is_all(there.memory, std::byte{0xee}));
  // The connection was closed by the fence; the next write makes another.
  REQUIRE(here.write({0, block_bytes}, target, {0, block_bytes}, "n"));
  CHECK(await_news(*here.bytes, 1, 0).completions.at(0).result == errc::none);
}
