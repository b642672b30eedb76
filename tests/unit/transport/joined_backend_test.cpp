// SPDX-License-Identifier: Apache-2.0
#include "transport/joined/joined_backend.hpp"

#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>
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
  // What the preferred one said goes before what others said.
  node near{shared, make_fabric()};
  auto withdrawn = *there.bytes->describe(there.region, near.bytes->self());
  there.bytes->forget(near.bytes->self());
  CHECK(near.bytes->import(there.bytes->self(), withdrawn).error().code == errc::revoked);
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

// Knows fences only: each ends at once, with the given result. Tickets are 1, 2, …
class scripted_backend final : public backend {
public:
  scripted_backend(peer_id self, errc of_fences)
    : self_(self), of_fences_(of_fences), wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~scripted_backend() override { ::close(wake_fd_); }

  capabilities caps() const override { return {}; }
  peer_id self() const override { return self_; }
  expected<region_id, transport::error> add_region(region_view) override { return refusal(); }
  void remove_region(region_id) override {}
  expected<std::string, transport::error> describe(region_id, peer_id) override { return refusal(); }
  expected<remote_region, transport::error> import(peer_id, std::string_view) override { return refusal(); }
  expected<ticket, transport::error> write(region_id, std::span<const run>, remote_region, std::span<const run>,
                                           std::span<const std::byte>, steady_time) override {
    return refusal();
  }
  void cancel(ticket what) override { cancelled.push_back(what); }
  expected<ticket, transport::error> fence(peer_id) override {
    ended_.push_back({ticket{++last_}, of_fences_, 0});
    ::eventfd_write(wake_fd_, 1);
    return ended_.back().what;
  }
  polled poll(std::span<completion> ended, std::span<arrival>) override {
    auto count = std::min(ended.size(), ended_.size());
    std::copy_n(ended_.begin(), count, ended.begin());
    ended_.erase(ended_.begin(), ended_.begin() + static_cast<std::ptrdiff_t>(count));
    eventfd_t ignored = 0;
    if (ended_.empty())
      ::eventfd_read(wake_fd_, &ignored);
    return {count, 0};
  }
  int wake_fd() const override { return wake_fd_; }
  void forget(peer_id) override {}
  std::uint64_t bytes_moved() const override { return 0; }

  std::vector<ticket> cancelled;

private:
  static unexpected<transport::error> refusal() { return fail(errc::closed, "not in the script"); }

  const peer_id self_;
  const errc of_fences_;
  const int wake_fd_;
  std::uint64_t last_ = 0;
  std::vector<completion> ended_;
};

// A node whose first back end holds what its policy says.
struct held_node {
  fault_backend* first = nullptr;
  std::unique_ptr<joined_backend> bytes;

  explicit held_node(fault_policy policy) {
    auto self = next_peer();
    auto a = std::make_unique<fault_backend>(make_child(make_fabric(), self), std::move(policy));
    first = a.get();
    std::vector<std::unique_ptr<backend>> children;
    children.push_back(std::move(a));
    children.push_back(make_child(make_fabric(), self));
    bytes = join(std::move(children));
  }
};

} // namespace

TEST_CASE("a fence ends once, when those of all back ends have ended") {
  held_node n{{.fences = fault_policy::fence_news::held}};
  auto fence = n.bytes->fence(n.bytes->self());
  REQUIRE(fence);
  std::array<completion, 4> ended;
  // Until both parts were seen: one is held, the other taken.
  auto patience = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  std::size_t told = 0;
  while ((n.first->held() == 0 || is_readable(*n.bytes)) && std::chrono::steady_clock::now() < patience)
    told += n.bytes->poll(ended, {}).completions;
  CHECK(told == 0);
  CHECK(n.first->held() == 1);
  CHECK_FALSE(is_readable(*n.bytes));
  n.first->release();
  CHECK(is_readable(*n.bytes));
  // The other part may be slow.
  auto last = await_news(*n.bytes, 1, 0);
  REQUIRE(last.completions.size() == 1);
  CHECK(last.completions[0].what == *fence);
  CHECK(last.completions[0].result == errc::none);
  CHECK_FALSE(is_readable(*n.bytes));
}

TEST_CASE("a fence of which one part fails ends with that failure, whichever ends first") {
  for (std::size_t failing : {0U, 1U}) {
    auto self = next_peer();
    std::vector<std::unique_ptr<backend>> children;
    for (std::size_t i = 0; i < 2; ++i)
      children.push_back(std::make_unique<scripted_backend>(self, i == failing ? errc::cancelled : errc::none));
    auto bytes = join(std::move(children));
    auto fence = bytes->fence(self);
    REQUIRE(fence);
    auto ended = await_news(*bytes, 1, 0);
    REQUIRE(ended.completions.size() == 1);
    CHECK(ended.completions[0].what == *fence);
    CHECK(ended.completions[0].result == errc::cancelled);
  }
}

TEST_CASE("cancelling reaches every back end that a fence waits for, and the one that writes") {
  auto self = next_peer();
  std::vector<std::unique_ptr<backend>> children;
  std::vector<scripted_backend*> all;
  for (int i = 0; i < 2; ++i) {
    auto child = std::make_unique<scripted_backend>(self, errc::none);
    all.push_back(child.get());
    children.push_back(std::move(child));
  }
  auto bytes = join(std::move(children));
  REQUIRE(bytes->fence(self));
  auto second = *bytes->fence(self);
  bytes->cancel(second);
  for (auto* child : all)
    CHECK(child->cancelled == std::vector{ticket{2}});
  CHECK(await_news(*bytes, 2, 0).completions.size() == 2);
  bytes->cancel(second); // completed: ignored
  CHECK(all[0]->cancelled.size() == 1);
  // A write is cancelled where it was posted, which its ticket says.
  bytes->cancel(ticket{5 << 4 | 1});
  CHECK(all[0]->cancelled.size() == 1);
  CHECK(all[1]->cancelled.back() == ticket{5});
}

TEST_CASE("a fence that one back end refuses is none, and nobody hears of its other part") {
  node n{make_fabric(), make_fabric()};
  n.second->close();
  CHECK(n.bytes->fence(n.bytes->self()).error().code == errc::closed);
  // Behind the part that was posted.
  auto marker = *n.first->fence(n.first->self());
  auto ended = await_news(*n.bytes, 1, 0);
  REQUIRE(ended.completions.size() == 1);
  auto untagged = ended.completions[0].what.value >> 4;
  CHECK(untagged == marker.value);
  CHECK_FALSE(is_readable(*n.bytes));
}

TEST_CASE("a small span takes turns between back ends, and the descriptor stays readable until all is taken") {
  auto left = make_fabric();
  auto right = make_fabric();
  node here{left, right};
  node by_left{left, make_fabric()};
  node by_right{make_fabric(), right};
  auto to_left = *by_left.open_to(here);
  auto to_right = *by_right.open_to(here);
  std::map<bool, std::set<ticket>> posted;
  for (int i = 0; i < 4; ++i) {
    posted[false].insert(*here.write(to_left));
    posted[true].insert(*here.write(to_right));
  }
  // Completions are there when the arrivals are.
  REQUIRE(await_news(*by_left.bytes, 0, 4).arrivals.size() == 4);
  REQUIRE(await_news(*by_right.bytes, 0, 4).arrivals.size() == 4);
  for (int i = 0; i < 8; ++i) {
    CHECK(is_readable(*here.bytes));
    std::array<completion, 1> one;
    REQUIRE(here.bytes->poll(one, {}).completions == 1);
    CHECK(posted[i % 2 == 1].erase(one[0].what) == 1);
  }
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
  std::array<completion, 4> surplus;
  CHECK(here.bytes->poll(surplus, {}).completions == 0);
  CHECK(posted.size() == 4 * writes);
  CHECK(ended == posted);
  CHECK_FALSE(is_readable(*here.bytes));
}
