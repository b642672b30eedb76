// SPDX-License-Identifier: Apache-2.0
// One back end, and at the other end of its sockets a test that says what it likes.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include "tests/support/shared_memory_fixture.hpp"
#include "transport/shared_memory/description.hpp"
#include "transport/shared_memory/packet.hpp"

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

bool await_readable(const descriptor& d, int patience_ms = 10'000) {
  pollfd look{d.get(), POLLIN, 0};
  return ::poll(&look, 1, patience_ms) == 1;
}

packet await_packet(const descriptor& from) {
  REQUIRE(await_readable(from));
  auto next = receive_packet(from);
  REQUIRE(next.how == received::outcome::packet);
  return next.what;
}

bool await_closed(const descriptor& d) {
  while (await_readable(d))
    if (receive_packet(d).how == received::outcome::ended)
      return true;
  return false;
}

// A writer played by the test, as far as the welcome.
struct played_writer {
  peer_id self = random_peer();
  descriptor socket;
  packet welcome;

  explicit played_writer(const shared_endpoint& owner, std::optional<peer_id> as = {})
    : self(as.value_or(random_peer())), socket(std::move(connect_to(owner.bytes->self())).value()) {
    send_packet(socket, {.kind = packet_kind::hello, .first = self.value, .second = owner.bytes->self().value});
    welcome = await_packet(socket);
    REQUIRE(welcome.kind == packet_kind::welcome);
  }

  void request(const shared_description& d) {
    packet p{.kind = packet_kind::request, .region = d.region.value};
    std::copy(d.token.begin(), d.token.end(), p.note.begin());
    send_packet(socket, p);
  }
  packet ask(const shared_description& d) {
    request(d);
    return await_packet(socket);
  }
};

shared_description described(shared_endpoint& owner, peer_id reader) {
  return *shared_description_from_text(*owner.bytes->describe(owner.region, reader));
}

// An owner played by the test.
struct played_owner {
  peer_id self = random_peer();
  descriptor listener = std::move(listen_as(self)).value();
  descriptor socket;
  packet request;

  remote_region open_to(shared_endpoint& writer) {
    return *writer.bytes->import(self, to_text(shared_description{self, region_id{1}, *random_token()}));
  }
  // Takes the connection of a writer and its request.
  void take(steady_time void_before = {}) {
    REQUIRE(await_readable(listener));
    socket = descriptor{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    auto hello = await_packet(socket);
    CHECK(hello.kind == packet_kind::hello);
    CHECK(hello.second == self.value);
    auto ns = std::chrono::nanoseconds{void_before.time_since_epoch()}.count();
    send_packet(socket, {.kind = packet_kind::welcome, .first = static_cast<std::uint64_t>(ns)});
    request = await_packet(socket);
    CHECK(request.kind == packet_kind::request);
  }
  void grant(const memory_file& file, std::uint64_t bytes) {
    send_packet(socket, {.kind = packet_kind::granted, .region = request.region, .second = bytes}, file.fd());
  }
};

std::ptrdiff_t open_files() {
  std::filesystem::directory_iterator files{"/proc/self/fd"};
  return std::distance(begin(files), end(files));
}

// How often this process maps it, the test's own view included.
std::size_t mappings_of(const memory_file& file) {
  struct stat facts {};
  REQUIRE(::fstat(file.fd(), &facts) == 0);
  auto inode = " " + std::to_string(facts.st_ino) + " ";
  std::ifstream maps{"/proc/self/maps"};
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);)
    count += line.find("memfd:test") != std::string::npos && line.find(inode) != std::string::npos ? 1 : 0;
  return count;
}

// A good writer gets through, and a fence about it ends.
void check_undisturbed(shared_endpoint& owner, shared_endpoint& writer, remote_region target) {
  auto value = static_cast<std::byte>(std::to_integer<int>(writer.memory[0]) + 1);
  writer.memory[0] = value;
  REQUIRE(writer.write(target, {0, 1}, {0, 1}, std::as_bytes(std::span{"n", 1})));
  CHECK(await_end(*writer.bytes).result == errc::none);
  CHECK(await_news(*owner.bytes, 0, 1).arrivals.size() == 1);
  CHECK(owner.memory[0] == value);
  REQUIRE(owner.bytes->fence(writer.bytes->self()));
  CHECK(await_end(*owner.bytes).result == errc::none);
}

} // namespace

TEST_CASE("shared memory: random packets disturb nobody, and leave no file open") {
  shared_endpoint owner{64};
  shared_endpoint writer{64};
  auto target = owner.open_to(writer);
  check_undisturbed(owner, writer, target);
  auto files_before = open_files();
  std::mt19937_64 random{7};
  for (int round = 0; round < 300; ++round) {
    auto socket = std::move(connect_to(owner.bytes->self())).value();
    packet p{.kind = packet_kind::hello, .first = random_peer().value, .second = owner.bytes->self().value};
    if (round % 3 != 0) // else noise from the beginning
      send_packet(socket, p);
    for (int i = 0; i < 5; ++i) {
      std::array<std::byte, 2 * sizeof(packet)> noise{};
      std::generate(noise.begin(), noise.end(), [&] { return static_cast<std::byte>(random()); });
      p.kind = static_cast<packet_kind>(random() % 12);
      p.region = static_cast<std::uint32_t>(random() % 4);
      p.note_bytes = static_cast<std::uint8_t>(random() % 80);
      auto sound = random() % 2 == 0;
      if (sound)
        send_packet(socket, p, random() % 4 == 0 ? owner.file.fd() : -1); // a file that nobody asked for
      else
        ::send(socket.get(), noise.data(), random() % noise.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (round % 20 == 0)
      check_undisturbed(owner, writer, target);
  }
  check_undisturbed(owner, writer, target);
  CHECK_FALSE(is_readable(*owner.bytes));
  auto patience = soon();
  while (open_files() > files_before && std::chrono::steady_clock::now() < patience)
    std::this_thread::yield();
  CHECK(open_files() == files_before);
}

TEST_CASE("shared memory: a wrong token, another's token and an unknown region are refused, the right one is not") {
  shared_endpoint owner{64};
  played_writer w{owner};
  auto good = described(owner, w.self);
  auto code = [&](const shared_description& d) {
    auto answer = w.ask(d);
    CHECK(answer.kind == packet_kind::refused);
    return answer.result;
  };
  auto wrong = good;
  wrong.token[15] ^= std::byte{1};
  CHECK(code(wrong) == errc::revoked);
  CHECK(code(described(owner, random_peer())) == errc::revoked);
  auto unknown = good;
  unknown.region = region_id{9};
  CHECK(code(unknown) == errc::unknown_region);
  w.request(good);
  REQUIRE(await_readable(w.socket));
  auto granted = receive_packet(w.socket);
  CHECK(granted.what.kind == packet_kind::granted);
  CHECK(granted.what.second == 64);
  CHECK(granted.file);
  owner.bytes->remove_region(owner.region);
  CHECK(await_packet(w.socket).kind == packet_kind::revoke);
  // Too late to be believed.
  packet late{.kind = packet_kind::arrived, .note_bytes = 1, .region = good.region.value};
  send_packet(w.socket, late);
  CHECK(code(good) == errc::unknown_region); // so the one before it was read
  CHECK_FALSE(is_readable(*owner.bytes));
}

TEST_CASE("shared memory: a writer that maps a region and breaks the rules is fenced until it lets go") {
  shared_endpoint owner{64};
  std::optional<played_writer> w{std::in_place, owner};
  CHECK(w->ask(described(owner, w->self)).kind == packet_kind::granted);
  send_packet(w->socket, {.kind = packet_kind::welcome});
  REQUIRE(await_closed(w->socket)); // as far as the owner goes: it tells the end
  packet arrived{.kind = packet_kind::arrived, .note_bytes = 1, .region = owner.region.value};
  send_packet(w->socket, arrived);
  REQUIRE(owner.bytes->fence(w->self));
  pollfd look{owner.bytes->wake_fd(), POLLIN, 0};
  CHECK(::poll(&look, 1, 100) == 0); // neither the fence nor the arrival
  w.reset();
  CHECK(await_end(*owner.bytes).result == errc::none);
}

TEST_CASE("shared memory: a fence waits for the answer that belongs to it, over every connection") {
  shared_endpoint owner{64};
  played_writer w{owner};
  std::optional<played_writer> second{std::in_place, owner, w.self};
  auto fence = *owner.bytes->fence(w.self);
  auto cancelled = *owner.bytes->fence(w.self);
  owner.bytes->cancel(cancelled);
  CHECK(await_end(*owner.bytes).what == cancelled);
  auto asked = await_packet(w.socket);
  CHECK(asked.kind == packet_kind::fence);
  send_packet(w.socket, {.kind = packet_kind::fenced, .first = asked.first});
  // The other connection has not answered; the first is asked for the fence that came later.
  auto again = await_packet(w.socket);
  CHECK(again.first > asked.first);
  send_packet(w.socket, {.kind = packet_kind::fenced, .first = again.first});
  pollfd look{owner.bytes->wake_fd(), POLLIN, 0};
  CHECK(::poll(&look, 1, 100) == 0);
  second.reset();
  CHECK(await_end(*owner.bytes).what == fence);
}

TEST_CASE("shared memory: a fence voids what a peer has posted and not yet connected for") {
  shared_endpoint owner{64};
  auto reader = random_peer();
  described(owner, reader);
  auto before = std::chrono::steady_clock::now();
  REQUIRE(owner.bytes->fence(reader));
  CHECK(await_end(*owner.bytes).result == errc::none);
  played_writer w{owner, reader};
  auto told = steady_time{std::chrono::nanoseconds{static_cast<std::int64_t>(w.welcome.first)}};
  CHECK(told >= before);
  CHECK(told <= std::chrono::steady_clock::now());
  CHECK(played_writer{owner}.welcome.first == 0); // nobody else is told that

  shared_endpoint writer{64};
  memory_file file{64};
  played_owner fencing;
  auto target = fencing.open_to(writer);
  REQUIRE(writer.write(target, {0, 8}, {0, 8}));
  writer.memory[0] = std::byte{7};
  fencing.take(std::chrono::steady_clock::now());
  fencing.grant(file, 64);
  CHECK(await_end(*writer.bytes).result == errc::revoked);
  REQUIRE(writer.write(target, {0, 1}, {8, 1})); // posted later
  CHECK(await_end(*writer.bytes).result == errc::none);
  CHECK(file.bytes()[0] == std::byte{0});
  CHECK(file.bytes()[8] == std::byte{7});
}

TEST_CASE("shared memory: a fence is answered behind everything that was posted before it") {
  constexpr std::size_t size = 64 << 20;
  shared_endpoint writer{size};
  memory_file file{size};
  played_owner owner;
  auto target = owner.open_to(writer);
  std::fill(writer.memory.begin(), writer.memory.end(), std::byte{1});
  constexpr int writes = 6;
  for (int i = 0; i < writes; ++i)
    REQUIRE(writer.write(target, {0, size}, {0, size}, std::as_bytes(std::span{"n", 1})));
  owner.take();
  owner.grant(file, size);
  send_packet(owner.socket, {.kind = packet_kind::fence, .first = 5});
  for (int i = 0; i < writes; ++i)
    CHECK(await_packet(owner.socket).kind == packet_kind::arrived);
  auto answer = await_packet(owner.socket);
  CHECK(answer.kind == packet_kind::fenced);
  CHECK(answer.first == 5);
  std::fill(file.bytes().begin(), file.bytes().end(), std::byte{2});
  CHECK(await_news(*writer.bytes, writes, 0).completions.size() == writes);
  CHECK(std::all_of(file.bytes().begin(), file.bytes().end(), [](std::byte b) { return b == std::byte{2}; }));
}

TEST_CASE("shared memory: a writer that lets go in the middle of a copy has unmapped before its connection ends") {
  constexpr std::size_t size = 16 << 20;
  shared_endpoint writer{size};
  memory_file file{size};
  for (int round = 0; round < 20; ++round) {
    played_owner owner;
    auto target = owner.open_to(writer);
    std::fill(file.bytes().begin(), file.bytes().end(), std::byte{1});
    REQUIRE(writer.write(target, {0, size}, {0, size}));
    owner.take();
    owner.grant(file, size);
    auto first = static_cast<const volatile std::byte*>(file.bytes().data());
    while (*first == std::byte{1} && !is_readable(*writer.bytes))
      std::this_thread::yield();
    writer.bytes->forget(owner.self);
    REQUIRE(await_closed(owner.socket));
    CHECK(mappings_of(file) == 1);
    CHECK(await_news(*writer.bytes, 1, 0).completions.size() == 1);
  }
}

TEST_CASE("shared memory: a file that is too short or may shrink is not written") {
  shared_endpoint writer{8192};
  auto ending = [&](const memory_file& file, std::uint64_t bytes) {
    played_owner owner;
    auto target = owner.open_to(writer);
    REQUIRE(writer.write(target, {0, 8192}, {0, 8192}));
    owner.take();
    owner.grant(file, bytes);
    return await_end(*writer.bytes).result;
  };
  CHECK(ending(memory_file{8192}, 8192) == errc::none);
  CHECK(ending(memory_file{4096}, 8192) == errc::out_of_range);
  CHECK(ending(memory_file{4096}, 4096) == errc::out_of_range);
  CHECK(ending(memory_file{8192}, 0) == errc::out_of_range);
  CHECK(ending(memory_file{8192}, ~std::uint64_t{0}) == errc::out_of_range);
  CHECK(ending(memory_file{8192, F_SEAL_GROW}, 8192) == errc::invalid_argument);
}

TEST_CASE("shared memory: an owner that never answers holds up neither other owners nor deadlines") {
  shared_endpoint writer{64};
  shared_endpoint good{64};
  played_owner silent;
  auto nowhere = silent.open_to(writer);
  auto stuck =
    *writer.write(nowhere, {0, 8}, {0, 8}, {}, std::chrono::steady_clock::now() + std::chrono::milliseconds{200});
  auto kept = *writer.write(nowhere, {0, 8}, {0, 8});
  auto through = *writer.write(good.open_to(writer), {0, 8}, {0, 8});
  auto first = await_end(*writer.bytes);
  CHECK(first.what == through);
  CHECK(first.result == errc::none);
  auto second = await_end(*writer.bytes);
  CHECK(second.what == stuck);
  CHECK(second.result == errc::timed_out);
  writer.bytes->cancel(kept);
  CHECK(await_end(*writer.bytes).result == errc::cancelled);
  auto orphaned = *writer.write(nowhere, {0, 8}, {0, 8});
  silent.listener = descriptor{};
  auto last = await_end(*writer.bytes);
  CHECK(last.what == orphaned);
  CHECK(last.result == errc::peer_gone);
}

TEST_CASE("shared memory: arrivals that nobody polls hold writes back, and none is lost") {
  shared_endpoint owner{64, {.transfers_max = 4}};
  shared_endpoint writer{64};
  auto target = owner.open_to(writer);
  constexpr std::uint32_t writes = 2000;
  for (std::uint32_t i = 0; i < writes; ++i)
    REQUIRE(writer.write(target, {0, 8}, {0, 8}, std::as_bytes(std::span{&i, 1})));
  // The socket takes some hundreds.
  std::size_t ended = 0;
  for (pollfd look{writer.bytes->wake_fd(), POLLIN, 0}; ::poll(&look, 1, 200) == 1;)
    ended += await_news(*writer.bytes, 1, 0).completions.size();
  CHECK(ended > 4);
  CHECK(ended < writes);
  REQUIRE(owner.bytes->fence(writer.bytes->self()));
  auto all = await_news(*owner.bytes, 1, writes);
  REQUIRE(all.arrivals.size() == writes);
  CHECK(all.completions.size() == 1);
  for (std::uint32_t i = 0; i < writes; ++i)
    CHECK(std::equal(all.arrivals[i].note.begin(), all.arrivals[i].note.begin() + 4,
                     std::as_bytes(std::span{&i, 1}).begin()));
  CHECK(await_news(*writer.bytes, writes - ended, 0).completions.size() == writes - ended);
}

TEST_CASE("shared memory: what a writer told before it ended is heard, though its fence is over at once") {
  shared_endpoint owner{64, {.transfers_max = 4}};
  std::optional<shared_endpoint> writer{std::in_place, std::size_t{64}};
  auto target = owner.open_to(*writer);
  for (int i = 0; i < 20; ++i)
    REQUIRE(writer->write(target, {0, 8}, {0, 8}, std::as_bytes(std::span{"n", 1})));
  CHECK(await_news(*writer->bytes, 20, 0).completions.size() == 20);
  auto fence = *owner.bytes->fence(writer->bytes->self());
  writer.reset();
  std::array<completion, 1> ended;
  auto patience = soon();
  while (owner.bytes->poll(ended, {}).completions == 0 && std::chrono::steady_clock::now() < patience)
    std::this_thread::yield();
  CHECK(ended[0].what == fence);
  CHECK(await_news(*owner.bytes, 0, 20).arrivals.size() == 20);
}
