// SPDX-License-Identifier: Apache-2.0
#include "transport/memory/memory_backend.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <thread>

#include "tests/support/transfers.hpp"
#include "tests/support/transport_fixture.hpp"

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

std::span<const std::byte> as_note(std::string_view text) { return std::as_bytes(std::span{text}); }

// Two endpoints of one process; `there` lets `here` write.
struct pair_of_endpoints {
  std::shared_ptr<memory_fabric> fabric = std::make_shared<memory_fabric>();
  endpoint here;
  endpoint there;
  remote_region target = there.open_to(here);

  explicit pair_of_endpoints(std::size_t size, memory_config config = {})
    : here(fabric, size, config), there(fabric, size, config) {}

  expected<ticket, error> write(run source, run to, std::string_view note = {}, steady_time deadline = soon()) {
    return here.bytes->write(here.region, std::span{&source, 1}, target, std::span{&to, 1}, as_note(note), deadline);
  }
};

} // namespace

TEST_CASE("a write lands, completes once, and its arrival comes with the note after the bytes") {
  pair_of_endpoints p{1024};
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

TEST_CASE("an endpoint can write to itself, between two regions") {
  auto fabric = std::make_shared<memory_fabric>();
  endpoint only{fabric, 256};
  std::vector<std::byte> prefill(256);
  fill_with_noise(prefill, 2);
  auto source = *only.bytes->add_region({prefill.data(), prefill.size()});
  auto target = only.open_to(only);
  run whole{0, 256};
  REQUIRE(only.bytes->write(source, std::span{&whole, 1}, target, std::span{&whole, 1}, as_note("n"), soon()));
  auto all = await_news(*only.bytes, 1, 1);
  CHECK(all.completions.size() == 1);
  CHECK(all.arrivals.size() == 1);
  CHECK(only.memory == prefill);
}

TEST_CASE("strided writes equal a byte-by-byte reference") {
  constexpr std::size_t size = 64 * 1024;
  pair_of_endpoints p{size};
  fill_with_noise(p.here.memory, 3);
  std::mt19937_64 random{4};
  std::uint64_t moved = 0;
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    std::fill(p.there.memory.begin(), p.there.memory.end(), std::byte{0});
    auto total = 1 + random() % 2000;
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

TEST_CASE("what does not fit is refused at once, and never completes") {
  pair_of_endpoints p{1000, {.bytes_max = 500, .runs_max = 2}};
  auto code = [&](run from, run to) { return p.write(from, to).error().code; };
  CHECK(code({501, 500}, {0, 500}) == errc::out_of_range);
  CHECK(code({0, 500}, {501, 500}) == errc::out_of_range);
  CHECK(code({0, 400}, {0, 300}) == errc::invalid_argument);
  CHECK(code({0, 501}, {0, 501}) == errc::invalid_argument);
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

TEST_CASE("a description serves only its reader, and nonsense is refused") {
  auto fabric = std::make_shared<memory_fabric>();
  endpoint a{fabric, 64};
  endpoint b{fabric, 64};
  endpoint c{fabric, 64};
  auto for_b = *a.bytes->describe(a.region, b.bytes->self());
  CHECK(b.bytes->import(a.bytes->self(), for_b));
  CHECK(*b.bytes->import(a.bytes->self(), for_b) == *b.bytes->import(a.bytes->self(), for_b));
  CHECK(c.bytes->import(a.bytes->self(), for_b).error().code == errc::unknown_region);
  CHECK(b.bytes->import(c.bytes->self(), for_b).error().code == errc::unknown_region);
  CHECK(a.bytes->describe(region_id{42}, b.bytes->self()).error().code == errc::unknown_region);
  for (auto text :
       {"", "memory:", "memory:1", "memory:1:1", "memory:1:1:", "memory:1:1:2", "memory:1:1:2:3 ", "memory:1:1:2:3:4",
        "memory:-1:1:2:3", "memory:99999999999999999999:1:2:3", "memory:1:4294967296:2:3", "tcp:1:1:2:3"})
    CHECK(b.bytes->import(a.bytes->self(), text).error().code == errc::unknown_region);
  for (std::size_t cut = 0; cut < for_b.size(); ++cut)
    CHECK_FALSE(b.bytes->import(a.bytes->self(), for_b.substr(0, cut)));
  // Guessed, never granted.
  auto guessed =
    "memory:" + std::to_string(a.bytes->self().value) + ":1:" + std::to_string(c.bytes->self().value) + ":1";
  CHECK(c.bytes->import(a.bytes->self(), guessed).error().code == errc::revoked);
}

TEST_CASE("a fabric has no two members of one id") {
  auto fabric = std::make_shared<memory_fabric>();
  endpoint a{fabric, 64};
  CHECK(memory_backend::make(fabric, a.bytes->self()).error().code == errc::invalid_argument);
  endpoint b{fabric, 64};
  CHECK(b.bytes->import(a.bytes->self(), *a.bytes->describe(a.region, b.bytes->self())));
}

TEST_CASE("a passed deadline ends a write before it begins") {
  pair_of_endpoints p{64};
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

TEST_CASE("posted operations are bounded, and polling gives the credit back") {
  pair_of_endpoints p{64, {.transfers_max = 3}};
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 3; ++i)
      REQUIRE(p.write({0, 8}, {0, 8}));
    CHECK(p.write({0, 8}, {0, 8}).error().code == errc::no_credit);
    CHECK(p.here.bytes->fence(p.there.bytes->self()).error().code == errc::no_credit);
    CHECK(await_news(*p.here.bytes, 3, 0).completions.size() == 3);
  }
}

TEST_CASE("arrivals that nobody polls hold further writes back") {
  pair_of_endpoints p{64, {.transfers_max = 3}};
  for (int i = 0; i < 3; ++i)
    REQUIRE(p.write({0, 8}, {0, 8}, "note"));
  CHECK(await_news(*p.here.bytes, 3, 0).completions.size() == 3);
  CHECK(p.write({0, 8}, {0, 8}, "note").error().code == errc::no_credit);
  CHECK(p.write({0, 8}, {0, 8})); // no note, no arrival
  CHECK(await_news(*p.there.bytes, 0, 3).arrivals.size() == 3);
  CHECK(p.write({0, 8}, {0, 8}, "note"));
  // A write that fails gives its reservation back.
  CHECK(await_news(*p.here.bytes, 2, 0).completions.size() == 2);
  CHECK(await_news(*p.there.bytes, 0, 1).arrivals.size() == 1);
  for (int round = 0; round < 5; ++round) {
    REQUIRE(p.write({0, 8}, {0, 8}, "note", long_ago()));
    REQUIRE(await_news(*p.here.bytes, 1, 0).completions.size() == 1);
  }
}

TEST_CASE("a small span takes the oldest first and leaves the descriptor readable") {
  pair_of_endpoints p{64};
  std::vector<ticket> posted;
  for (int i = 0; i < 3; ++i)
    posted.push_back(*p.write({0, 8}, {0, 8}));
  posted.push_back(*p.here.bytes->fence(p.here.bytes->self()));
  for (auto& expected : posted) {
    std::array<completion, 1> one;
    pollfd fd{p.here.bytes->wake_fd(), POLLIN, 0};
    REQUIRE(::poll(&fd, 1, 10'000) == 1);
    REQUIRE(p.here.bytes->poll(one, {}).completions == 1);
    CHECK(one[0].what == expected);
  }
  CHECK_FALSE(is_readable(*p.here.bytes));
}

TEST_CASE("a removed region is unknown to its owner and to whoever imported it") {
  pair_of_endpoints p{64};
  auto text = *p.there.bytes->describe(p.there.region, p.here.bytes->self());
  p.there.bytes->remove_region(p.there.region);
  p.there.bytes->remove_region(p.there.region); // ignored by now
  CHECK(p.write({0, 1}, {0, 1}).error().code == errc::unknown_region);
  CHECK(p.here.bytes->import(p.there.bytes->self(), text).error().code == errc::unknown_region);
  CHECK(p.there.bytes->describe(p.there.region, p.here.bytes->self()).error().code == errc::unknown_region);
  p.here.bytes->remove_region(p.here.region);
  CHECK(p.write({0, 1}, {0, 1}).error().context == "source region 1");
}

TEST_CASE("a forgotten peer can neither be written to nor write") {
  pair_of_endpoints p{64};
  p.there.bytes->forget(p.here.bytes->self());
  CHECK(p.write({0, 1}, {0, 1}).error().code == errc::revoked);
  auto again = p.there.open_to(p.here);
  CHECK(again != p.target);
  CHECK(p.write({0, 1}, {0, 1}).error().code == errc::unknown_region);
  p.target = again;
  CHECK(p.write({0, 1}, {0, 1}));
  CHECK(await_news(*p.here.bytes, 1, 0).completions.size() == 1);
  p.here.bytes->forget(p.there.bytes->self());
  CHECK(p.write({0, 1}, {0, 1}).error().code == errc::unknown_region);
}

TEST_CASE("what was described to a peer that was forgotten stays void when the region is described to it anew") {
  auto fabric = std::make_shared<memory_fabric>();
  endpoint only{fabric, 64};
  auto& bytes = *only.bytes;
  auto before = *bytes.describe(only.region, bytes.self());
  auto target = *bytes.import(bytes.self(), before);
  bytes.forget(bytes.self()); // a writer of one's own may hang with it, too
  auto after = *bytes.describe(only.region, bytes.self());
  CHECK(bytes.import(bytes.self(), before).error().code == errc::revoked);
  CHECK(bytes.import(bytes.self(), after).value() != target);
  run all{0, 64};
  auto refused = bytes.write(only.region, std::span{&all, 1}, target, std::span{&all, 1}, {}, soon());
  CHECK(refused.error().code == errc::unknown_region);
}

TEST_CASE("an overlapping write within one region harms nothing outside of it") {
  auto fabric = std::make_shared<memory_fabric>();
  endpoint only{fabric, 4096};
  auto target = only.open_to(only);
  run from{0, 2048};
  run to{1024, 2048};
  REQUIRE(only.bytes->write(only.region, std::span{&from, 1}, target, std::span{&to, 1}, {}, soon()));
  CHECK(await_news(*only.bytes, 1, 0).completions.at(0).result == errc::none);
}
