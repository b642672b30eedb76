// SPDX-License-Identifier: Apache-2.0
// Whoever can reach the port can connect: what strangers and lying peers send disturbs nobody.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <random>

#include "tests/support/tcp_fixture.hpp"

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

bool is_untouched(const std::vector<std::byte>& memory) {
  return std::all_of(memory.begin(), memory.end(), [](std::byte b) { return b == std::byte{0}; });
}

// An owner, and a peer that speaks for itself over a raw socket, with a token.
struct raw_writer {
  tcp_endpoint owner;
  peer_id self = next_peer();
  tcp_description target = *tcp_description_from_text(*owner.bytes->describe(owner.region, self));
  raw_peer socket{owner.bytes->where(), self, owner.bytes->self()};

  explicit raw_writer(std::size_t size, const tcp_config& config = {}) : owner(size, config) {
    REQUIRE(socket.receive_hello());
  }
  // Sends a whole write of `bytes` bytes 0x77 and gives the answer.
  expected<frame, error> write(const tcp_description& where, std::vector<run> runs, std::uint64_t bytes,
                               errc trailer = errc::none) {
    socket.send(raw_write(where, 1, runs, bytes, "n"));
    socket.send(std::vector<std::byte>(bytes, std::byte{0x77}));
    socket.send(encode_trailer(trailer));
    return socket.receive_frame();
  }
};

} // namespace

TEST_CASE("tcp: random bytes on the port are refused and disturb nothing") {
  tcp_pair p{1024};
  p.here.memory[0] = std::byte{9};
  std::mt19937_64 random{1};
  for (int round = 0; round < 50; ++round) {
    raw_peer stranger{p.there.bytes->where()};
    REQUIRE(stranger.connected());
    std::vector<std::byte> noise(frame_bytes + random() % 10'000);
    for (auto& b : noise)
      b = static_cast<std::byte>(random());
    stranger.send(noise);
    CHECK(stranger.is_closed());
    REQUIRE(p.write({0, 1}, {0, 1}, "n"));
    CHECK(p.result() == errc::none);
    CHECK(await_news(*p.there.bytes, 0, 1).arrivals.size() == 1);
  }
  CHECK(std::count(p.there.memory.begin(), p.there.memory.end(), std::byte{0}) == 1023);
}

TEST_CASE("tcp: a half-open connection is dropped in time, and disturbs nothing meanwhile") {
  tcp_pair p{64, {.hello_time_max = std::chrono::milliseconds{300}}};
  raw_peer silent{p.there.bytes->where()};
  raw_peer halting{p.there.bytes->where()};
  auto greeting = encode(hello{.from = {1}, .to = p.there.bytes->self()});
  halting.send(std::span{greeting}.first(20));
  REQUIRE(p.write({0, 1}, {0, 1}));
  CHECK(p.result() == errc::none);
  auto begin = std::chrono::steady_clock::now();
  CHECK(silent.is_closed());
  CHECK(halting.is_closed());
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{5});
  REQUIRE(p.write({0, 1}, {0, 1}));
  CHECK(p.result() == errc::none);
}

TEST_CASE("tcp: connections beyond the bound are closed at once, and there is room again later") {
  tcp_pair p{64, {.connections_max = 4, .hello_time_max = std::chrono::milliseconds{500}}};
  std::deque<raw_peer> waiting;
  for (int i = 0; i < 4; ++i)
    waiting.emplace_back(p.there.bytes->where());
  raw_peer one_more{p.there.bytes->where()};
  CHECK(one_more.is_closed());
  for (auto& w : waiting)
    CHECK(w.is_closed());
  REQUIRE(p.write({0, 1}, {0, 1}));
  CHECK(p.result() == errc::none);
}

TEST_CASE("tcp: a hello of another version, or for another peer, is refused") {
  tcp_endpoint owner{64};
  auto self = owner.bytes->self();
  for (auto& wrong : {hello{.version = 2, .from = {1}, .to = self}, hello{.from = {1}, .to = {self.value + 1}}}) {
    raw_peer stranger{owner.bytes->where()};
    stranger.send(encode(wrong));
    CHECK(stranger.is_closed());
  }
  raw_peer right{owner.bytes->where(), peer_id{1}, self};
  auto answer = right.receive_hello();
  REQUIRE(answer);
  CHECK(answer->from == self);
  CHECK(answer->to == peer_id{1});
}

TEST_CASE("tcp: a write to an owner of another life ends with peer_gone") {
  tcp_endpoint here{64};
  tcp_endpoint there{64};
  auto described = *tcp_description_from_text(*there.bytes->describe(there.region, here.bytes->self()));
  described.owner = peer_id{described.owner.value + 1'000'000};
  auto target = *here.bytes->import(described.owner, to_text(described));
  REQUIRE(here.write({0, 1}, target, {0, 1}));
  CHECK(await_news(*here.bytes, 1, 0).completions.at(0).result == errc::peer_gone);
  described.where.port = 1; // nobody listens
  target = *here.bytes->import(described.owner, to_text(described));
  REQUIRE(here.write({0, 1}, target, {0, 1}));
  CHECK(await_news(*here.bytes, 1, 0).completions.at(0).result == errc::peer_gone);
}

TEST_CASE("tcp: wrong, foreign and withdrawn tokens move nothing, and the connection goes on") {
  raw_writer w{64};
  auto wrong = w.target;
  wrong.token[15] ^= std::byte{1};
  CHECK(w.write(wrong, {{0, 8}}, 8)->result == errc::revoked);
  wrong = w.target;
  wrong.region = {99};
  CHECK(w.write(wrong, {{0, 8}}, 8)->result == errc::unknown_region);
  auto foreign = *tcp_description_from_text(*w.owner.bytes->describe(w.owner.region, next_peer()));
  CHECK(w.write(foreign, {{0, 8}}, 8)->result == errc::revoked);
  std::byte other{};
  auto second = *w.owner.bytes->add_region({&other, 1});
  wrong = *tcp_description_from_text(*w.owner.bytes->describe(second, w.self));
  wrong.region = w.owner.region;
  CHECK(w.write(wrong, {{0, 8}}, 8)->result == errc::revoked);
  CHECK(is_untouched(w.owner.memory));
  CHECK(w.write(w.target, {{0, 8}}, 8)->result == errc::none);
  CHECK(w.owner.memory[7] == std::byte{0x77});
  w.owner.bytes->forget(w.self);
  CHECK(w.write(w.target, {{8, 8}}, 8)->result == errc::revoked);
  w.owner.bytes->remove_region(w.owner.region);
  CHECK(w.write(w.target, {{8, 8}}, 8)->result == errc::unknown_region);
  CHECK(w.owner.memory[8] == std::byte{0});
  CHECK(await_news(*w.owner.bytes, 0, 1).arrivals.size() == 1);
  CHECK_FALSE(is_readable(*w.owner.bytes));
}

TEST_CASE("tcp: runs that lie about range, number or total move nothing, and the connection goes on") {
  raw_writer w{64, {.bytes_max = 1000, .runs_max = 4}};
  constexpr auto huge = ~std::uint64_t{0};
  CHECK(w.write(w.target, {{57, 8}}, 8)->result == errc::out_of_range);
  CHECK(w.write(w.target, {{huge, 8}}, 8)->result == errc::out_of_range);
  CHECK(w.write(w.target, {{0, 8, huge, 2}}, 16)->result == errc::out_of_range);
  CHECK(w.write(w.target, {{0, 8}}, 9)->result == errc::invalid_argument);
  CHECK(w.write(w.target, {{0, 8}}, 7)->result == errc::invalid_argument);
  CHECK(w.write(w.target, {{0, 0}}, 1)->result == errc::invalid_argument);
  CHECK(w.write(w.target, {{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}}, 5)->result == errc::invalid_argument);
  CHECK(w.write(w.target, {{0, 1001}}, 1001)->result == errc::invalid_argument);
  CHECK(w.write(w.target, {{0, 8}}, 8, errc::unknown_region)->result == errc::unknown_region);
  CHECK_FALSE(is_readable(*w.owner.bytes));
  CHECK(w.write(w.target, {{0, 64}}, 64)->result == errc::none);
  CHECK(await_news(*w.owner.bytes, 0, 1).arrivals.size() == 1);
}

TEST_CASE("tcp: a frame that cannot be ends its connection, and only that") {
  std::vector<std::vector<std::byte>> wrong;
  auto add = [&](auto bytes) { wrong.push_back({bytes.begin(), bytes.end()}); };
  add(frame_buffer{});
  add(encode(frame{.kind = frame_kind::written, .number = 1}));
  add(encode(frame{.kind = frame_kind::fence, .number = 1}));
  add(encode(frame{.kind = frame_kind::write, .runs = 0, .bytes = 1}));
  add(encode(frame{.kind = frame_kind::write, .runs = 1, .bytes = ~std::uint64_t{0}}));
  for (auto& bytes : wrong) {
    raw_writer w{64};
    tcp_endpoint here{64};
    auto target = w.owner.open_to(here);
    w.socket.send(bytes);
    CHECK(w.socket.is_closed());
    REQUIRE(here.write({0, 1}, target, {0, 1}));
    CHECK(await_news(*here.bytes, 1, 0).completions.at(0).result == errc::none);
  }
}

TEST_CASE("tcp: answers to fences that nobody asked for change nothing") {
  raw_writer w{64};
  for (std::uint64_t number = 0; number < 1000; ++number)
    w.socket.send(encode(frame{.kind = frame_kind::fenced, .number = number}));
  CHECK(w.write(w.target, {{0, 8}}, 8)->result == errc::none);
  CHECK(await_news(*w.owner.bytes, 0, 1).completions.empty());
}

namespace {

// How a write of 8 bytes ends whose owner greets rightly and then answers this.
errc result_of_answer(std::span<const std::byte> answer) {
  raw_owner owner;
  tcp_endpoint here{64};
  auto posted = here.write({0, 8}, owner.open_to(here), {0, 8});
  REQUIRE(posted);
  REQUIRE(owner.take());
  owner.send(encode(hello{.from = owner.self, .to = here.bytes->self(), .connection = 1}));
  REQUIRE(owner.receive(frame_bytes + run_bytes + 8 + trailer_bytes));
  owner.send(answer);
  auto all = await_news(*here.bytes, 1, 0).completions;
  REQUIRE(all.size() == 1);
  CHECK(all[0].what == *posted);
  return all[0].result;
}

} // namespace

TEST_CASE("tcp: a lying owner gets its connection closed, and its writes end with peer_gone") {
  auto written = [](errc result, std::uint64_t number, std::uint64_t bytes) {
    return encode(frame{.kind = frame_kind::written, .result = result, .number = number, .bytes = bytes});
  };
  CHECK(result_of_answer(written(errc::none, 1, 8)) == errc::none);
  CHECK(result_of_answer(written(errc::revoked, 1, 0)) == errc::revoked);
  CHECK(result_of_answer(written(errc::none, 2, 8)) == errc::peer_gone); // of no write
  CHECK(result_of_answer(written(errc::none, 1, 7)) == errc::peer_gone);
  CHECK(result_of_answer(written(errc::none, 1, 9)) == errc::peer_gone);
  CHECK(result_of_answer(written(errc::revoked, 1, 8)) == errc::peer_gone);
  CHECK(result_of_answer(encode(frame{.kind = frame_kind::fenced, .number = 1})) == errc::peer_gone);
  CHECK(result_of_answer(frame_buffer{}) == errc::peer_gone);
}

TEST_CASE("tcp: an owner that accepts and never greets, or never answers, is given up in time") {
  auto short_time = std::chrono::milliseconds{300};
  tcp_endpoint here{64, {.hello_time_max = short_time, .silence_time_max = short_time}};
  raw_owner mute;
  auto begin = std::chrono::steady_clock::now();
  REQUIRE(here.write({0, 8}, mute.open_to(here), {0, 8}));
  CHECK(await_news(*here.bytes, 1, 0).completions.at(0).result == errc::peer_gone);
  raw_owner idle;
  REQUIRE(here.write({0, 8}, idle.open_to(here), {0, 8}));
  REQUIRE(idle.take());
  idle.send(encode(hello{.from = idle.self, .to = here.bytes->self(), .connection = 1}));
  CHECK(await_news(*here.bytes, 1, 0).completions.at(0).result == errc::peer_gone);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{5});
}
