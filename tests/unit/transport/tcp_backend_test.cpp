// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp/tcp_backend.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>

#include "tests/support/tcp_fixture.hpp"
#include "tests/support/transfers.hpp"

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

TEST_CASE("tcp: a write lands, completes once, and its arrival comes with the note after the bytes") {
  tcp_pair p{1024};
  fill_with_noise(p.here.memory, 1);
  auto what = p.write({100, 200}, {300, 200}, "block 7");
  REQUIRE(what);
  auto arrived = await_news(*p.there.bytes, 0, 1);
  REQUIRE(arrived.arrivals.size() == 1);
  CHECK(std::equal(p.here.memory.begin() + 100, p.here.memory.begin() + 300, p.there.memory.begin() + 300));
  CHECK(arrived.arrivals[0].from == p.here.bytes->self());
  CHECK(arrived.arrivals[0].region == p.there.region);
  CHECK(text_of(arrived.arrivals[0]) == "block 7");
  auto ended = await_news(*p.here.bytes, 1, 0);
  REQUIRE(ended.completions.size() == 1);
  CHECK(ended.completions[0].what == *what);
  CHECK(ended.completions[0].result == errc::none);
  CHECK(ended.completions[0].bytes == 200);
  CHECK(p.here.bytes->bytes_moved() == 200);
  CHECK_FALSE(is_readable(*p.here.bytes));
  CHECK_FALSE(is_readable(*p.there.bytes));
  CHECK(std::count(p.there.memory.begin(), p.there.memory.end(), std::byte{0}) >= 1024 - 200);
}

TEST_CASE("tcp: an endpoint can write to itself, between two regions") {
  tcp_endpoint only{256};
  std::vector<std::byte> prefill(256);
  fill_with_noise(prefill, 2);
  auto source = *only.bytes->add_region({prefill.data(), prefill.size()});
  auto target = only.open_to(only);
  run whole{0, 256};
  auto note = std::as_bytes(std::span{"n", 1});
  REQUIRE(only.bytes->write(source, std::span{&whole, 1}, target, std::span{&whole, 1}, note, soon()));
  auto all = await_news(*only.bytes, 1, 1);
  CHECK(all.completions.size() == 1);
  CHECK(all.arrivals.size() == 1);
  CHECK(only.memory == prefill);
}

TEST_CASE("tcp: strided writes equal a byte-by-byte reference") {
  constexpr std::size_t size = 64 * 1024;
  tcp_pair p{size};
  fill_with_noise(p.here.memory, 3);
  std::mt19937_64 random{4};
  std::uint64_t moved = 0;
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    std::fill(p.there.memory.begin(), p.there.memory.end(), std::byte{0});
    auto total = 1 + random() % 4000;
    auto from = draw_runs(random, size, total);
    auto to = draw_runs(random, size, total);
    REQUIRE(p.here.bytes->write(p.here.region, from, p.target, to, {}, soon()));
    REQUIRE(await_news(*p.here.bytes, 1, 0).completions.at(0).bytes == total);
    std::vector<std::byte> reference(size);
    auto source_offsets = offsets_of(from);
    auto target_offsets = offsets_of(to);
    REQUIRE(source_offsets.size() == target_offsets.size());
    for (std::size_t i = 0; i < source_offsets.size(); ++i)
      reference[target_offsets[i]] = p.here.memory[source_offsets[i]];
    CHECK(p.there.memory == reference);
    moved += total;
  }
  CHECK(p.here.bytes->bytes_moved() == moved);
}

TEST_CASE("tcp: a write of many megabytes, in strides, arrives whole") {
  constexpr std::size_t pieces = 4096;
  constexpr std::size_t piece_bytes = 6000;
  constexpr std::size_t stride = 8192;
  tcp_pair p{pieces * stride};
  fill_with_noise(p.here.memory, 5);
  REQUIRE(p.write({0, piece_bytes, stride, pieces}, {0, piece_bytes * pieces}));
  CHECK(p.result() == errc::none);
  for (std::size_t i = 0; i < pieces; ++i)
    REQUIRE(std::equal(p.here.memory.begin() + static_cast<std::ptrdiff_t>(i * stride),
                       p.here.memory.begin() + static_cast<std::ptrdiff_t>(i * stride + piece_bytes),
                       p.there.memory.begin() + static_cast<std::ptrdiff_t>(i * piece_bytes)));
}

TEST_CASE("tcp: 10,000 random writes in both directions leave both memories as a model says") {
  constexpr std::size_t size = 256 * 1024;
  constexpr int writes = 10'000;
  tcp_endpoint a{2 * size};
  tcp_endpoint b{2 * size};
  std::array<tcp_endpoint*, 2> ends{&a, &b};
  std::array<remote_region, 2> targets{b.open_to(a), a.open_to(b)};
  // Written to in the upper half, read from in the lower one.
  fill_with_noise(a.memory, 6);
  fill_with_noise(b.memory, 7);
  std::array<std::vector<std::byte>, 2> models{a.memory, b.memory};
  std::mt19937_64 random{8};
  std::array<int, 2> completed{};
  std::array<int, 2> arrived{};
  auto drain = [&] {
    for (std::size_t e = 0; e < 2; ++e) {
      std::array<completion, 64> done;
      std::array<arrival, 64> landed;
      auto count = ends[e]->bytes->poll(done, landed);
      for (std::size_t i = 0; i < count.completions; ++i)
        REQUIRE(done[i].result == errc::none);
      completed[e] += static_cast<int>(count.completions);
      arrived[e] += static_cast<int>(count.arrivals);
    }
  };
  std::array<int, 2> posted{};
  std::array<int, 2> noted{};
  for (int i = 0; i < writes; ++i) {
    auto e = random() % 2;
    auto total = 1 + random() % (i % 100 == 0 ? 20'000 : 500);
    auto from = draw_runs(random, size, total);
    auto to = draw_runs(random, size, total);
    for (auto& r : to)
      r.offset += size;
    auto note = std::as_bytes(std::span{"note", random() % 5});
    auto source_offsets = offsets_of(from);
    auto target_offsets = offsets_of(to);
    for (std::size_t k = 0; k < source_offsets.size(); ++k)
      models[1 - e][target_offsets[k]] = ends[e]->memory[source_offsets[k]];
    while (!ends[e]->bytes->write(ends[e]->region, from, targets[e], to, note, soon()))
      drain();
    ++posted[e];
    noted[1 - e] += note.empty() ? 0 : 1;
    drain();
  }
  auto patience = soon();
  while ((completed != posted || arrived != noted) && std::chrono::steady_clock::now() < patience)
    drain();
  CHECK(completed == posted);
  CHECK(arrived == noted);
  CHECK(a.memory == models[0]);
  CHECK(b.memory == models[1]);
}

TEST_CASE("tcp: what does not fit here is refused at once, and never completes") {
  tcp_pair p{1000, {.bytes_max = 500, .runs_max = 2}};
  auto code = [&](run from, run to) { return p.write(from, to).error().code; };
  CHECK(code({501, 500}, {0, 500}) == errc::out_of_range);
  CHECK(code({0, 400}, {0, 300}) == errc::invalid_argument);
  CHECK(code({0, 501}, {0, 501}) == errc::invalid_argument);
  CHECK(code({0, 1}, {~std::uint64_t{0}, 1}) == errc::out_of_range);
  CHECK(p.write({0, 1}, {0, 1}, std::string(65, 'x')).error().code == errc::invalid_argument);
  run one{0, 1};
  std::array<run, 3> three{one, one, one};
  run three_bytes{0, 3};
  CHECK(p.here.bytes->write(p.here.region, three, p.target, std::span{&three_bytes, 1}, {}, soon()).error().code
        == errc::invalid_argument);
  CHECK(p.here.bytes->write(region_id{99}, std::span{&one, 1}, p.target, std::span{&one, 1}, {}, soon()).error().code
        == errc::unknown_region);
  CHECK(p.here.bytes->write(p.here.region, std::span{&one, 1}, remote_region{99}, std::span{&one, 1}, {}, soon())
          .error()
          .code
        == errc::unknown_region);
  CHECK(p.here.bytes->add_region({}).error().code == errc::invalid_argument);
  auto fence = p.here.bytes->fence(p.here.bytes->self());
  REQUIRE(fence);
  auto all = await_news(*p.here.bytes, 1, 0);
  REQUIRE(all.completions.size() == 1);
  CHECK(all.completions[0].what == *fence);
  CHECK(p.here.bytes->bytes_moved() == 0);
}

TEST_CASE("tcp: what does not fit there completes with its reason, and the next write is not harmed") {
  tcp_endpoint here{4096};
  tcp_endpoint there{1000, {.bytes_max = 500, .runs_max = 2}};
  auto target = there.open_to(here);
  auto result = [&](run from, std::vector<run> to) {
    REQUIRE(here.bytes->write(here.region, std::span{&from, 1}, target, to, std::as_bytes(std::span{"n", 1}), soon()));
    auto all = await_news(*here.bytes, 1, 0).completions;
    return all.empty() ? completion{} : all.front();
  };
  CHECK(result({0, 500}, {{501, 500}}).result == errc::out_of_range);
  CHECK(result({0, 400}, {{0, 100, 301, 4}}).result == errc::out_of_range);
  CHECK(result({0, 501}, {{0, 501}}).result == errc::invalid_argument);
  CHECK(result({0, 3}, {{0, 1}, {1, 1}, {2, 1}}).result == errc::invalid_argument);
  CHECK(result({0, 3}, {{0, 1}, {1, 1}, {2, 1}}).bytes == 0);
  CHECK(std::all_of(there.memory.begin(), there.memory.end(), [](std::byte b) { return b == std::byte{0}; }));
  CHECK(result({0, 500}, {{500, 500}}).result == errc::none);
  CHECK(await_news(*there.bytes, 0, 1).arrivals.size() == 1);
  CHECK_FALSE(is_readable(*there.bytes));
}

TEST_CASE("tcp: only loopback addresses are accepted") {
  for (auto host : {"0.0.0.0", "10.0.0.1", "localhost", "", "::1", "127.0.0.1.", "128.0.0.1"}) {
    auto refused = tcp_backend::make(next_peer(), {.host = host});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::invalid_argument);
    CHECK_FALSE(refused.error().context.empty());
  }
  auto elsewhere = make_tcp({.host = "127.0.0.2"});
  CHECK(host_to_text(elsewhere->where().host) == "127.0.0.2");
  auto taken = tcp_backend::make(next_peer(), {.host = "127.0.0.2", .port = elsewhere->where().port});
  CHECK(taken.error().code == errc::resource);
}

TEST_CASE("tcp: a description serves only its reader, and another's is refused") {
  tcp_endpoint a{64};
  tcp_endpoint b{64};
  tcp_endpoint c{64};
  auto for_b = *a.bytes->describe(a.region, b.bytes->self());
  CHECK(*a.bytes->describe(a.region, b.bytes->self()) == for_b);
  CHECK(*b.bytes->import(a.bytes->self(), for_b) == *b.bytes->import(a.bytes->self(), for_b));
  CHECK(b.bytes->import(c.bytes->self(), for_b).error().code == errc::unknown_region);
  CHECK(b.bytes->import(a.bytes->self(), "memory:1:1:2").error().code == errc::unknown_region);
  CHECK(a.bytes->describe(region_id{42}, b.bytes->self()).error().code == errc::unknown_region);
  // Stolen: the owner knows who writes.
  auto stolen = c.bytes->import(a.bytes->self(), for_b);
  REQUIRE(stolen);
  REQUIRE(c.write({0, 1}, *stolen, {0, 1}));
  CHECK(await_news(*c.bytes, 1, 0).completions.at(0).result == errc::revoked);
}

TEST_CASE("tcp: imports are bounded") {
  tcp_endpoint owner{64};
  tcp_endpoint reader{64, {.imports_max = 1}};
  CHECK(reader.bytes->import(owner.bytes->self(), *owner.bytes->describe(owner.region, reader.bytes->self())));
  std::byte more{};
  auto second = *owner.bytes->add_region({&more, 1});
  auto text = *owner.bytes->describe(second, reader.bytes->self());
  CHECK(reader.bytes->import(owner.bytes->self(), text).error().code == errc::resource);
}

TEST_CASE("tcp: a passed deadline ends a write before it begins") {
  tcp_pair p{64};
  p.here.memory[0] = std::byte{5};
  REQUIRE(p.write({0, 1}, {0, 1}, "n", long_ago()));
  REQUIRE(p.write({0, 1}, {1, 1}, "m"));
  auto all = await_news(*p.here.bytes, 2, 0);
  REQUIRE(all.completions.size() == 2);
  CHECK(all.completions[0].result == errc::timed_out);
  CHECK(all.completions[0].bytes == 0);
  CHECK(all.completions[1].result == errc::none);
  auto arrived = await_news(*p.there.bytes, 0, 1);
  REQUIRE(arrived.arrivals.size() == 1);
  CHECK(text_of(arrived.arrivals[0]) == "m");
  CHECK(p.there.memory[0] == std::byte{0});
}

TEST_CASE("tcp: posted operations are bounded, and polling gives the credit back") {
  tcp_pair p{64, {.transfers_max = 3}};
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 3; ++i)
      REQUIRE(p.write({0, 8}, {0, 8}));
    CHECK(p.write({0, 8}, {0, 8}).error().code == errc::no_credit);
    CHECK(p.here.bytes->fence(p.there.bytes->self()).error().code == errc::no_credit);
    CHECK(await_news(*p.here.bytes, 3, 0).completions.size() == 3);
  }
}

TEST_CASE("tcp: arrivals that nobody polls hold further writes back until they are polled") {
  tcp_endpoint here{64};
  tcp_endpoint there{64, {.transfers_max = 3}};
  auto target = there.open_to(here);
  for (int i = 0; i < 8; ++i)
    REQUIRE(here.write({0, 8}, target, {0, 8}, "note"));
  CHECK(await_news(*here.bytes, 3, 0).completions.size() == 3);
  std::array<completion, 8> more;
  CHECK(here.bytes->poll(more, {}).completions == 0);
  CHECK(await_news(*there.bytes, 0, 8).arrivals.size() == 8);
  CHECK(await_news(*here.bytes, 5, 0).completions.size() == 5);
  // Writes that fail give their reservation back.
  for (int i = 0; i < 8; ++i)
    REQUIRE(here.write({0, 8}, target, {60, 8}, "note"));
  CHECK(await_news(*here.bytes, 8, 0).completions.size() == 8);
  CHECK_FALSE(is_readable(*there.bytes));
}

TEST_CASE("tcp: a small span takes the oldest first and leaves the descriptor readable") {
  tcp_pair p{64};
  std::vector<ticket> posted;
  for (int i = 0; i < 4; ++i)
    posted.push_back(*p.write({0, 8}, {0, 8}));
  for (auto& expected : posted) {
    std::array<completion, 1> one;
    pollfd fd{p.here.bytes->wake_fd(), POLLIN, 0};
    REQUIRE(::poll(&fd, 1, 10'000) == 1);
    REQUIRE(p.here.bytes->poll(one, {}).completions == 1);
    CHECK(one[0].what == expected);
  }
  CHECK_FALSE(is_readable(*p.here.bytes));
}

TEST_CASE("tcp: a removed region is unknown to its owner and to whoever imported it") {
  tcp_pair p{64};
  REQUIRE(p.write({0, 1}, {0, 1}));
  CHECK(p.result() == errc::none);
  p.there.bytes->remove_region(p.there.region);
  p.there.bytes->remove_region(p.there.region); // ignored by now
  REQUIRE(p.write({0, 1}, {0, 1}));
  CHECK(p.result() == errc::unknown_region);
  CHECK(p.there.bytes->describe(p.there.region, p.here.bytes->self()).error().code == errc::unknown_region);
  p.here.bytes->remove_region(p.here.region);
  CHECK(p.write({0, 1}, {0, 1}).error().context == "source region 1");
}

TEST_CASE("tcp: a forgotten peer can neither be written to nor write, and may come again") {
  tcp_pair p{64};
  REQUIRE(p.write({0, 1}, {0, 1}));
  CHECK(p.result() == errc::none);
  p.there.bytes->forget(p.here.bytes->self());
  REQUIRE(p.write({0, 1}, {0, 1}));
  CHECK(p.result() == errc::revoked);
  auto again = p.there.open_to(p.here);
  CHECK(again != p.target);
  CHECK(p.write({0, 1}, {0, 1}).error().code == errc::unknown_region);
  p.target = again;
  REQUIRE(p.write({0, 1}, {0, 1}));
  CHECK(p.result() == errc::none);
  p.here.bytes->forget(p.there.bytes->self());
  CHECK(p.write({0, 1}, {0, 1}).error().code == errc::unknown_region);
  p.target = p.there.open_to(p.here);
  REQUIRE(p.write({0, 1}, {0, 1}));
  CHECK(p.result() == errc::none);
}

TEST_CASE("tcp: an overlapping write within one region harms nothing outside of it") {
  tcp_endpoint only{4096};
  auto target = only.open_to(only);
  only.memory[3072] = std::byte{7};
  REQUIRE(only.write({0, 2048}, target, {1024, 2048}));
  CHECK(await_news(*only.bytes, 1, 0).completions.at(0).result == errc::none);
  CHECK(only.memory[3072] == std::byte{7});
}
