// SPDX-License-Identifier: Apache-2.0
#include "transport/shared_memory/shared_memory_backend.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <random>

#include "tests/support/shared_memory_fixture.hpp"
#include "tests/support/transfers.hpp"

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

std::span<const std::byte> as_note(std::string_view text) { return std::as_bytes(std::span{text}); }
// Two endpoints; `there` lets `here` write.
struct pair_of_endpoints {
  shared_endpoint here;
  shared_endpoint there;
  remote_region target = there.open_to(here);

  explicit pair_of_endpoints(std::size_t size, shared_memory_config config = {})
    : here(size, config), there(size, config) {}

  expected<ticket, error> write(run source, run to, std::string_view note = {}, steady_time deadline = soon()) {
    return here.write(target, source, to, as_note(note), deadline);
  }
  errc code_of(run source, run to) {
    auto what = write(source, to);
    return what ? await_end(*here.bytes).result : what.error().code;
  }
};

} // namespace

TEST_CASE("shared memory: a write lands, completes once, and its arrival comes with the note after the bytes") {
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

TEST_CASE("shared memory: an endpoint can write to itself, from memory without a file, which cannot be described") {
  shared_endpoint only{256};
  std::vector<std::byte> prefill(256);
  fill_with_noise(prefill, 2);
  auto source = *only.bytes->add_region({prefill.data(), prefill.size()});
  CHECK(only.bytes->describe(source, only.bytes->self()).error().code == errc::invalid_argument);
  auto target = only.open_to(only);
  run whole{0, 256};
  REQUIRE(only.bytes->write(source, std::span{&whole, 1}, target, std::span{&whole, 1}, as_note("n"), soon()));
  auto all = await_news(*only.bytes, 1, 1);
  CHECK(all.completions.size() == 1);
  CHECK(all.arrivals.size() == 1);
  CHECK(std::equal(prefill.begin(), prefill.end(), only.memory.begin()));
}

TEST_CASE("shared memory: strided writes equal a byte-by-byte reference, into a region that begins within a page") {
  constexpr std::size_t size = 64 * 1024;
  pair_of_endpoints p{size};
  fill_with_noise(p.here.memory, 3);
  constexpr std::size_t before = 5000;
  auto view = p.there.file.view();
  view.data += before;
  view.bytes -= before;
  view.fd_offset = before;
  auto inner = *p.there.bytes->add_region(view);
  auto target = *p.here.bytes->import(p.there.bytes->self(), *p.there.bytes->describe(inner, p.here.bytes->self()));
  std::mt19937_64 random{4};
  std::uint64_t moved = 0;
  for (int round = 0; round < 200; ++round) {
    CAPTURE(round);
    std::fill(p.there.memory.begin(), p.there.memory.end(), std::byte{0});
    auto total = 1 + random() % 2000;
    auto from = draw_runs(random, size, total);
    auto to = draw_runs(random, view.bytes, total);
    REQUIRE(p.here.bytes->write(p.here.region, from, target, to, {}, soon()));
    REQUIRE(await_end(*p.here.bytes).bytes == total);
    std::vector<std::byte> reference(size);
    auto source_offsets = offsets_of(from);
    auto target_offsets = offsets_of(to);
    REQUIRE(source_offsets.size() == target_offsets.size());
    for (std::size_t i = 0; i < source_offsets.size(); ++i)
      reference[before + target_offsets[i]] = p.here.memory[source_offsets[i]];
    CHECK(std::equal(reference.begin(), reference.end(), p.there.memory.begin()));
    moved += total;
  }
  CHECK(p.here.bytes->bytes_moved() == moved);
}

TEST_CASE("shared memory: what does not fit is refused, at once where that can be known") {
  pair_of_endpoints p{1000, {.bytes_max = 500, .runs_max = 2}};
  CHECK(p.write({501, 500}, {0, 500}).error().code == errc::out_of_range);
  CHECK(p.write({0, 400}, {0, 300}).error().code == errc::invalid_argument);
  CHECK(p.write({0, 501}, {0, 501}).error().code == errc::invalid_argument);
  CHECK(p.write({0, 1}, {0, 1}, std::string(65, 'x')).error().code == errc::invalid_argument);
  run one{0, 1};
  std::array<run, 3> three{one, one, one};
  run three_bytes{0, 3};
  CHECK(p.here.bytes->write(p.here.region, three, p.target, std::span{&three_bytes, 1}, {}, soon()).error().code
        == errc::invalid_argument);
  CHECK(p.here.bytes->write(region_id{99}, std::span{&one, 1}, p.target, std::span{&one, 1}, {}, soon()).error().code
        == errc::unknown_region);
  CHECK(p.here.write(remote_region{99}, one, one).error().code == errc::unknown_region);
  CHECK(p.here.bytes->add_region({}).error().code == errc::invalid_argument);
  CHECK_FALSE(is_readable(*p.here.bytes));
  // How large the target is, is known when it is mapped.
  CHECK(p.write({0, 500}, {501, 500}));
  auto first = await_end(*p.here.bytes);
  CHECK(first.result == errc::out_of_range);
  CHECK(first.bytes == 0);
  CHECK(p.write({0, 500}, {501, 500}).error().code == errc::out_of_range);
  CHECK(p.here.bytes->bytes_moved() == 0);
}

TEST_CASE("shared memory: a description serves only its reader, and nonsense is refused") {
  shared_endpoint a{64};
  shared_endpoint b{64};
  shared_endpoint c{64};
  auto for_b = *a.bytes->describe(a.region, b.bytes->self());
  CHECK(*a.bytes->describe(a.region, b.bytes->self()) == for_b);
  CHECK(*a.bytes->describe(a.region, c.bytes->self()) != for_b);
  CHECK(*b.bytes->import(a.bytes->self(), for_b) == *b.bytes->import(a.bytes->self(), for_b));
  CHECK(b.bytes->import(c.bytes->self(), for_b).error().code == errc::unknown_region);
  CHECK(a.bytes->describe(region_id{42}, b.bytes->self()).error().code == errc::unknown_region);
  for (std::size_t cut = 0; cut < for_b.size(); ++cut)
    CHECK_FALSE(b.bytes->import(a.bytes->self(), for_b.substr(0, cut)));
  CHECK_FALSE(b.bytes->import(a.bytes->self(), for_b + "0"));
  CHECK_FALSE(b.bytes->import(a.bytes->self(), for_b.substr(0, for_b.size() - 1) + "A"));
  CHECK_FALSE(b.bytes->import(a.bytes->self(), "memory:1:1:1"));
  // The owner sees who shows the token.
  auto stolen = *c.bytes->import(a.bytes->self(), for_b);
  REQUIRE(c.write(stolen, {0, 8}, {0, 8}));
  CHECK(await_end(*c.bytes).result == errc::revoked);
  CHECK(c.write(stolen, {0, 8}, {0, 8}).error().code == errc::revoked);
  REQUIRE(b.write(*b.bytes->import(a.bytes->self(), for_b), {0, 8}, {0, 8}));
  CHECK(await_end(*b.bytes).result == errc::none);
}

TEST_CASE("shared memory: no two listen under one id, and what can shrink is not described") {
  shared_endpoint a{64};
  CHECK(shared_memory_backend::make(a.bytes->self()).error().code == errc::invalid_argument);
  memory_file loose{64, F_SEAL_GROW};
  auto region = *a.bytes->add_region(loose.view());
  CHECK(a.bytes->describe(region, a.bytes->self()).error().code == errc::invalid_argument);
  memory_file small{64};
  auto view = small.view();
  view.fd_offset = 1;
  CHECK(a.bytes->describe(*a.bytes->add_region(view), a.bytes->self()).error().code == errc::invalid_argument);
}

TEST_CASE("shared memory: a passed deadline ends a write before it begins") {
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

TEST_CASE("shared memory: posted operations are bounded, and polling gives the credit back") {
  pair_of_endpoints p{64, {.transfers_max = 3}};
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 3; ++i)
      REQUIRE(p.write({0, 8}, {0, 8}));
    CHECK(p.write({0, 8}, {0, 8}).error().code == errc::no_credit);
    CHECK(p.here.bytes->fence(p.there.bytes->self()).error().code == errc::no_credit);
    CHECK(await_news(*p.here.bytes, 3, 0).completions.size() == 3);
  }
}

TEST_CASE("shared memory: a small span takes the oldest first and leaves the descriptor readable") {
  pair_of_endpoints p{64};
  std::vector<ticket> posted;
  for (int i = 0; i < 3; ++i)
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

TEST_CASE("shared memory: a removed region is unknown to its owner and to whoever imported it") {
  pair_of_endpoints p{64};
  CHECK(p.code_of({0, 1}, {0, 1}) == errc::none);
  auto text = *p.there.bytes->describe(p.there.region, p.here.bytes->self());
  p.there.bytes->remove_region(p.there.region);
  p.there.bytes->remove_region(p.there.region); // ignored by now
  // The word of it comes before the answer to the fence.
  REQUIRE(p.there.bytes->fence(p.here.bytes->self()));
  CHECK(await_end(*p.there.bytes).result == errc::none);
  CHECK(p.write({0, 1}, {0, 1}).error().code == errc::unknown_region);
  CHECK(p.here.bytes->import(p.there.bytes->self(), text).error().code == errc::unknown_region);
  CHECK(p.there.bytes->describe(p.there.region, p.here.bytes->self()).error().code == errc::unknown_region);
  p.here.bytes->remove_region(p.here.region);
  CHECK(p.write({0, 1}, {0, 1}).error().context == "source region 1");
}

TEST_CASE("shared memory: a forgotten peer can neither be written to nor write, until it is told anew") {
  pair_of_endpoints p{64};
  CHECK(p.code_of({0, 1}, {0, 1}) == errc::none);
  for (int round = 0; round < 3; ++round) {
    p.there.bytes->forget(p.here.bytes->self());
    REQUIRE(p.there.bytes->fence(p.here.bytes->self()));
    CHECK(await_end(*p.there.bytes).result == errc::none);
    CHECK(p.write({0, 1}, {0, 1}).error().code == errc::revoked);
    auto again = p.there.open_to(p.here);
    CHECK(again != p.target);
    CHECK(p.write({0, 1}, {0, 1}).error().code == errc::unknown_region);
    p.target = again;
    CHECK(p.code_of({0, 1}, {0, 1}) == errc::none);
  }
  p.here.bytes->forget(p.there.bytes->self());
  CHECK(p.write({0, 1}, {0, 1}).error().code == errc::unknown_region);
  p.target = p.there.open_to(p.here); // over another connection
  CHECK(p.code_of({0, 1}, {0, 1}) == errc::none);
}

TEST_CASE("shared memory: a peer that is not there is gone") {
  pair_of_endpoints p{64};
  auto owner = p.there.bytes->self();
  auto text = *p.there.bytes->describe(p.there.region, p.here.bytes->self());
  p.there.bytes.reset();
  CHECK(p.code_of({0, 1}, {0, 1}) == errc::peer_gone);
  CHECK(p.code_of({0, 1}, {0, 1}) == errc::peer_gone);
  CHECK(p.here.bytes->import(owner, text).error().code == errc::peer_gone);
}

TEST_CASE("shared memory: an overlapping write within one region harms nothing outside of it") {
  shared_endpoint only{4096};
  auto target = only.open_to(only);
  REQUIRE(only.write(target, {0, 2048}, {1024, 2048}));
  CHECK(await_end(*only.bytes).result == errc::none);
}
