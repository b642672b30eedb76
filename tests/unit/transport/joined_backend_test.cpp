// SPDX-License-Identifier: Apache-2.0
#include "transport/joined/joined_backend.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "tests/support/fault_backend.hpp"
#include "tests/support/transport_fixture.hpp"

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

using fabric = std::shared_ptr<memory_fabric>;

fabric make_fabric() { return std::make_shared<memory_fabric>(); }

std::unique_ptr<memory_backend> make_child(const fabric& in, peer_id self, memory_config config = {}) {
  return std::move(memory_backend::make(in, self, config)).value();
}

std::unique_ptr<joined_backend> join(std::vector<std::unique_ptr<backend>> children) {
  return std::move(joined_backend::make(std::move(children))).value();
}

// Two memory back ends as one, the first preferred. The second has had regions before, so that the ids of both
// differ from each other and from the joined ones.
struct node {
  std::vector<std::byte> memory;
  memory_backend* first = nullptr;
  memory_backend* second = nullptr;
  std::unique_ptr<joined_backend> bytes;
  region_id region;

  node(const fabric& preferred, const fabric& other, std::size_t size = 1024, memory_config config = {})
    : memory(size) {
    auto self = next_peer();
    auto a = make_child(preferred, self, config);
    auto b = make_child(other, self, config);
    first = a.get();
    second = b.get();
    for (int i = 0; i < 3; ++i)
      REQUIRE(second->add_region({memory.data(), size}));
    std::vector<std::unique_ptr<backend>> children;
    children.push_back(std::move(a));
    children.push_back(std::move(b));
    bytes = join(std::move(children));
    REQUIRE(bytes->add_region({memory.data(), 1})); // 1, so that ours is the second
    region = *bytes->add_region({memory.data(), size});
  }

  expected<remote_region, error> open_to(node& writer) {
    auto text = bytes->describe(region, writer.bytes->self());
    return text ? writer.bytes->import(bytes->self(), *text) : unexpected{text.error()};
  }
  expected<ticket, error> write(remote_region target, std::uint64_t at = 0, std::string_view note = "note") {
    run where{at, 8};
    return bytes->write(region, std::span{&where, 1}, target, std::span{&where, 1}, std::as_bytes(std::span{note}),
                        soon());
  }
};

} // namespace

TEST_CASE("only 1 to 8 back ends of one endpoint can be joined") {
  auto code = [](std::vector<std::unique_ptr<backend>> children) {
    return joined_backend::make(std::move(children)).error().code;
  };
  CHECK(code({}) == errc::invalid_argument);
  std::vector<std::unique_ptr<backend>> strangers;
  strangers.push_back(make_memory(make_fabric()));
  strangers.push_back(make_memory(make_fabric()));
  CHECK(code(std::move(strangers)) == errc::invalid_argument);
  std::vector<std::unique_ptr<backend>> nothing(1);
  CHECK(code(std::move(nothing)) == errc::invalid_argument);
  auto self = next_peer();
  auto several = [self](int count) {
    std::vector<std::unique_ptr<backend>> result;
    for (int i = 0; i < count; ++i)
      result.push_back(make_child(make_fabric(), self));
    return result;
  };
  CHECK(code(several(9)) == errc::invalid_argument);
  CHECK(joined_backend::make(several(8)));
  CHECK((*joined_backend::make(several(1)))->self() == self);
}

TEST_CASE("the bounds of joined back ends are the least of each") {
  auto self = next_peer();
  std::vector<std::unique_ptr<backend>> children;
  children.push_back(make_child(make_fabric(), self, {.bytes_max = 100, .runs_max = 7, .transfers_max = 30}));
  children.push_back(make_child(make_fabric(), self, {.bytes_max = 200, .runs_max = 5, .transfers_max = 20}));
  auto caps = join(std::move(children))->caps();
  CHECK(caps.bytes_max == 100);
  CHECK(caps.runs_max == 5);
  CHECK(caps.transfers_max == 20);
}

TEST_CASE("the first back end that reaches a peer moves the bytes, and the arrival names the joined region") {
  auto shared = make_fabric();
  auto other = make_fabric();
  node here{shared, other};
  node there{shared, other};
  here.memory[40] = std::byte{5};
  auto target = there.open_to(here);
  REQUIRE(target);
  CHECK(*there.open_to(here) == *target);
  auto what = here.write(*target, 40);
  REQUIRE(what);
  auto arrived = await_news(*there.bytes, 0, 1);
  REQUIRE(arrived.arrivals.size() == 1);
  CHECK(arrived.arrivals[0].from == here.bytes->self());
  CHECK(arrived.arrivals[0].region == there.region);
  CHECK(arrived.arrivals[0].note_bytes == 4);
  CHECK(there.memory[40] == std::byte{5});
  auto ended = await_news(*here.bytes, 1, 0);
  REQUIRE(ended.completions.size() == 1);
  CHECK(ended.completions[0].what == *what);
  CHECK(ended.completions[0].result == errc::none);
  CHECK(here.first->bytes_moved() == 8);
  CHECK(here.second->bytes_moved() == 0);
}

TEST_CASE("where the first back end does not reach a peer, the second does") {
  auto shared = make_fabric();
  node here{make_fabric(), shared};
  node there{make_fabric(), shared};
  node everywhere{make_fabric(), shared};
  here.memory[8] = std::byte{6};
  auto target = there.open_to(here);
  REQUIRE(target);
  REQUIRE(here.write(*target, 8));
  CHECK(await_news(*here.bytes, 1, 0).completions.at(0).result == errc::none);
  auto arrived = await_news(*there.bytes, 0, 1);
  CHECK(arrived.arrivals.at(0).region == there.region);
  CHECK(there.memory[8] == std::byte{6});
  CHECK(here.second->bytes_moved() == 8);
  CHECK(here.bytes->bytes_moved() == 8);
  // Preference is that of the reader, whatever the order of the lines.
  node reversed{shared, make_fabric()};
  REQUIRE(here.open_to(reversed));
  REQUIRE(reversed.write(*here.open_to(reversed), 16));
  CHECK(await_news(*here.bytes, 0, 1).arrivals.at(0).region == here.region);
  CHECK(reversed.first->bytes_moved() == 8);
}

TEST_CASE("bytes moved are the sum over all back ends") {
  auto left = make_fabric();
  auto right = make_fabric();
  node here{left, right};
  node by_left{left, make_fabric()};
  node by_right{make_fabric(), right};
  REQUIRE(here.write(*by_left.open_to(here)));
  REQUIRE(here.write(*by_right.open_to(here)));
  REQUIRE(here.write(*by_right.open_to(here)));
  CHECK(await_news(*here.bytes, 3, 0).completions.size() == 3);
  CHECK(here.first->bytes_moved() == 8);
  CHECK(here.second->bytes_moved() == 16);
  CHECK(here.bytes->bytes_moved() == 24);
}

TEST_CASE("a peer that no back end reaches is refused with what the one that knew it said") {
  auto shared = make_fabric();
  node here{make_fabric(), make_fabric()};
  node there{shared, make_fabric()};
  CHECK(there.open_to(here).error().code == errc::peer_gone);
  for (auto text : {"", "\n", "\n\n\n", "memory:", "tcp:1\nshm:2", "memory:1:1:x\n"})
    CHECK(here.bytes->import(there.bytes->self(), text).error().code == errc::unknown_region);
  // However many lines, few are looked at.
  node friendly{shared, make_fabric()};
  auto text = *there.bytes->describe(there.region, friendly.bytes->self());
  CHECK(friendly.bytes->import(there.bytes->self(), std::string(40, '\n') + text));
  CHECK(friendly.bytes->import(there.bytes->self(), std::string(100'000, '\n') + text).error().code
        == errc::unknown_region);
}

TEST_CASE("a region that a back end refuses is registered in none") {
  node n{make_fabric(), make_fabric()};
  n.second->close();
  CHECK(n.bytes->add_region({n.memory.data(), 8}).error().code == errc::closed);
  // The first had 2 regions; the third was withdrawn again.
  CHECK(n.first->describe(region_id{2}, n.first->self()));
  CHECK(n.first->describe(region_id{3}, n.first->self()).error().code == errc::unknown_region);
  auto next = n.first->add_region({n.memory.data(), 8});
  CHECK(*next == region_id{4});
}

TEST_CASE("a back end that cannot describe a region is passed over") {
  auto left = make_fabric();
  auto right = make_fabric();
  node here{left, right};
  node there{left, right};
  auto both = *there.bytes->describe(there.region, here.bytes->self());
  CHECK(std::count(both.begin(), both.end(), '\n') == 1);
  there.first->remove_region(region_id{2});
  auto one = *there.bytes->describe(there.region, here.bytes->self());
  CHECK(one == both.substr(both.find('\n') + 1));
  auto target = there.open_to(here);
  REQUIRE(target);
  REQUIRE(here.write(*target));
  CHECK(await_news(*there.bytes, 0, 1).arrivals.at(0).region == there.region);
  there.second->remove_region(region_id{5});
  CHECK(there.bytes->describe(there.region, here.bytes->self()).error().code == errc::unknown_region);
}

TEST_CASE("a removed region is unknown everywhere, and unknown ids are ignored") {
  auto shared = make_fabric();
  node here{shared, make_fabric()};
  node there{shared, make_fabric()};
  auto target = *there.open_to(here);
  there.bytes->remove_region(there.region);
  there.bytes->remove_region(there.region);
  there.bytes->remove_region(region_id{99});
  there.bytes->cancel(ticket{});
  there.bytes->cancel(ticket{1ULL << 40 | 7}); // a child that there is not
  CHECK(here.write(target).error().code == errc::unknown_region);
  CHECK(there.bytes->describe(there.region, here.bytes->self()).error().code == errc::unknown_region);
  CHECK(there.write(target).error().code == errc::unknown_region);
  CHECK(there.first->describe(region_id{2}, here.bytes->self()).error().code == errc::unknown_region);
  CHECK(there.second->describe(region_id{5}, here.bytes->self()).error().code == errc::unknown_region);
  here.bytes->remove_region(here.region);
  CHECK(here.write(target).error().context == "source region 2");
}

TEST_CASE("arrivals in a region that was removed meanwhile are dropped") {
  auto shared = make_fabric();
  node here{shared, make_fabric()};
  node there{shared, make_fabric()};
  REQUIRE(here.write(*there.open_to(here)));
  REQUIRE(await_news(*here.bytes, 1, 0).completions.size() == 1);
  there.bytes->remove_region(there.region);
  std::array<arrival, 4> arrived;
  CHECK(there.bytes->poll({}, arrived).arrivals == 0);
  CHECK_FALSE(is_readable(*there.bytes));
}

TEST_CASE("a forgotten peer is forgotten by every back end") {
  auto left = make_fabric();
  auto right = make_fabric();
  node here{left, right};
  node by_left{left, make_fabric()};
  node by_right{make_fabric(), right};
  for (auto* peer : {&by_left, &by_right}) {
    auto target = *peer->open_to(here);
    auto back = *here.open_to(*peer);
    here.bytes->forget(peer->bytes->self());
    CHECK(here.write(target).error().code == errc::unknown_region);
    CHECK(peer->write(back).error().code == errc::revoked);
    auto again = *peer->open_to(here);
    CHECK(again != target);
    CHECK(here.write(again));
  }
  CHECK(await_news(*here.bytes, 2, 0).completions.size() == 2);
}

namespace {

// A node whose first back end holds what its policy says, on fabrics of its own or shared ones.
struct held_node {
  std::vector<std::byte> memory = std::vector<std::byte>(64);
  fault_backend* first = nullptr;
  memory_backend* second = nullptr;
  std::unique_ptr<joined_backend> bytes;

  explicit held_node(fault_policy policy, memory_config of_second = {}) {
    auto self = next_peer();
    auto a = std::make_unique<fault_backend>(make_child(make_fabric(), self), std::move(policy));
    auto b = make_child(make_fabric(), self, of_second);
    first = a.get();
    second = b.get();
    std::vector<std::unique_ptr<backend>> children;
    children.push_back(std::move(a));
    children.push_back(std::move(b));
    bytes = join(std::move(children));
  }
};

} // namespace

TEST_CASE("a fence ends once, when those of all back ends have ended") {
  held_node n{{.fences = fault_policy::fence_news::held}};
  auto fence = n.bytes->fence(n.bytes->self());
  REQUIRE(fence);
  auto patience = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  std::array<completion, 4> ended;
  // Both parts were seen: one is held, the other taken; the descriptor says that there is nothing to come.
  while ((n.first->held() == 0 || is_readable(*n.bytes)) && std::chrono::steady_clock::now() < patience)
    REQUIRE(n.bytes->poll(ended, {}).completions == 0);
  CHECK(n.first->held() == 1);
  CHECK_FALSE(is_readable(*n.bytes));
  n.first->release();
  CHECK(is_readable(*n.bytes));
  REQUIRE(n.bytes->poll(ended, {}).completions == 1);
  CHECK(ended[0].what == *fence);
  CHECK(ended[0].result == errc::none);
  CHECK_FALSE(is_readable(*n.bytes));
  CHECK(n.bytes->poll(ended, {}).completions == 0);
}

TEST_CASE("a fence of which one part fails ends with that failure") {
  auto left = make_fabric();
  auto right = make_fabric();
  node here{left, right, 16 << 20};
  node there{left, right, 16 << 20};
  auto target = *there.open_to(here);
  run whole{0, 16 << 20};
  // Keeps the writer's first copier busy, so that the fence waits there and can be cancelled.
  for (int i = 0; i < 8; ++i)
    REQUIRE(here.bytes->write(here.region, std::span{&whole, 1}, target, std::span{&whole, 1}, {}, soon()));
  auto fence = there.bytes->fence(here.bytes->self());
  REQUIRE(fence);
  there.bytes->cancel(*fence);
  auto ended = await_news(*there.bytes, 1, 0);
  REQUIRE(ended.completions.size() == 1);
  CHECK(ended.completions[0].what == *fence);
  CHECK(ended.completions[0].result == errc::cancelled);
  CHECK(await_news(*here.bytes, 8, 0).completions.size() == 8);
}

TEST_CASE("a fence that one back end refuses is none, and nobody hears of its other part") {
  held_node n{{}, {.transfers_max = 1}};
  REQUIRE(n.second->fence(n.second->self())); // takes the only credit
  CHECK(n.bytes->fence(n.bytes->self()).error().code == errc::no_credit);
  std::array<completion, 4> ended;
  REQUIRE(n.second->poll(ended, {}).completions <= 1);
  REQUIRE(await_news(*n.second, 0, 0).completions.empty());
  auto patience = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  std::size_t heard = 0;
  while (heard == 0 && std::chrono::steady_clock::now() < patience) {
    auto again = n.bytes->fence(n.bytes->self()); // until the credit is back
    heard += n.bytes->poll(ended, {}).completions;
    if (again) {
      auto rest = heard == 0 ? await_news(*n.bytes, 1, 0).completions : std::vector(ended.begin(), ended.begin() + 1);
      CHECK(rest.back().what == *again);
      break;
    }
  }
}

TEST_CASE("a small span takes turns between back ends, and the descriptor stays readable until all is taken") {
  auto left = make_fabric();
  auto right = make_fabric();
  node here{left, right};
  node by_left{left, make_fabric()};
  node by_right{make_fabric(), right};
  auto to_left = *by_left.open_to(here);
  auto to_right = *by_right.open_to(here);
  std::set<ticket> posted;
  for (int i = 0; i < 4; ++i) {
    posted.insert(*here.write(to_left));
    posted.insert(*here.write(to_right));
  }
  REQUIRE(posted.size() == 8);
  for (auto* busy : {here.first, here.second}) {
    auto fence = *busy->fence(here.bytes->self()); // behind the writes; polled by nobody but the child's own turn
    (void) fence;
  }
  REQUIRE(await_news(*by_left.bytes, 0, 4).arrivals.size() == 4);
  REQUIRE(await_news(*by_right.bytes, 0, 4).arrivals.size() == 4);
  std::set<ticket> seen;
  std::array<completion, 1> one;
  std::array<bool, 2> told{};
  for (int i = 0; i < 10; ++i) {
    pollfd fd{here.bytes->wake_fd(), POLLIN, 0};
    REQUIRE(::poll(&fd, 1, 10'000) == 1);
    REQUIRE(here.bytes->poll(one, {}).completions == 1);
    told[one[0].what.value & 1] = true;
    CHECK(told[0] == (i >= 0));
    if (i == 1)
      CHECK(told[1]);
    CHECK(seen.insert(one[0].what).second);
  }
  CHECK(std::includes(seen.begin(), seen.end(), posted.begin(), posted.end()));
  CHECK_FALSE(is_readable(*here.bytes));
}

TEST_CASE("every operation from several threads over two back ends completes exactly once") {
  constexpr int writes = 400;
  auto left = make_fabric();
  auto right = make_fabric();
  node here{left, right};
  node by_left{left, make_fabric()};
  node by_right{make_fabric(), right};
  std::mutex mutex;
  std::map<ticket, int> posted;
  auto post = [&](remote_region target) {
    for (int i = 0; i < writes; ++i) {
      auto what = here.write(target, static_cast<std::uint64_t>(i) % 100 * 8, {});
      auto fence = here.bytes->fence(here.bytes->self());
      if (i % 5 == 0)
        here.bytes->cancel(i % 2 == 0 ? *what : *fence);
      std::lock_guard lock{mutex};
      ++posted[*what];
      ++posted[*fence];
    }
  };
  std::thread a{post, *by_left.open_to(here)};
  std::thread b{post, *by_right.open_to(here)};
  std::map<ticket, int> ended;
  for (auto& c : await_news(*here.bytes, 4 * writes, 0).completions)
    ++ended[c.what];
  a.join();
  b.join();
  CHECK(posted.size() == 4 * writes);
  CHECK(ended == posted);
  CHECK_FALSE(is_readable(*here.bytes));
}
