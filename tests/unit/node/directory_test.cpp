// SPDX-License-Identifier: Apache-2.0
#include "actors/node/directory.hpp"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "tests/support/virtual_time.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr std::chrono::milliseconds moment{10};

struct heard {
  std::vector<fleet_snapshot> fleets;
  std::vector<fleet_share> shares;
};

fleet_sink_actor::behavior_type follow(fleet_sink_actor::pointer, std::shared_ptr<heard> to) {
  return {[to](const fleet_snapshot& fleet) { to->fleets.push_back(fleet); }};
}

share_sink_actor::behavior_type take_shares(share_sink_actor::pointer, std::shared_ptr<heard> to) {
  return {[to](const fleet_share& share) { to->shares.push_back(share); }};
}

kv_sink_actor::behavior_type idle(kv_sink_actor::pointer) {
  return {[](const kv_blocks_arrived&) {}};
}

constexpr std::chrono::seconds stall{5};

struct directory_fixture : virtual_time {
  explicit directory_fixture(std::map<std::string, vocabulary_id> known_models = {}) {
    directory_config c;
    c.node = "here";
    c.life = 10;
    c.stall_max = stall;
    c.known_models = std::move(known_models);
    directory = spawn_directory(*system, c);
    follower = system->spawn(follow, told);
    caf::anon_send(directory, follower);
    pass(moment);
  }
  ~directory_fixture() {
    for (auto& w : workers)
      caf::anon_send_exit(w, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(follower, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(directory, caf::exit_reason::user_shutdown);
    run();
  }

  fleet_member make_member(std::uint64_t id, std::uint64_t life = 1) {
    workers.push_back(system->spawn(idle));
    worker_record record;
    record.id = {id};
    record.worker_epoch = {life};
    record.roles = role_decode;
    return {record, caf::actor_cast<caf::strong_actor_ptr>(workers.back())};
  }

  /// Lets time pass, in which these report, each so many steps more than before and with so many sequences.
  struct reporting {
    std::uint64_t id;
    std::uint32_t steps;
    std::uint32_t running;
    std::string node;
    std::uint64_t done = 1;
  };
  void pass_with(std::vector<reporting> workers_now, const std::vector<fleet_member>& there,
                 std::chrono::milliseconds time) {
    for (auto passed = std::chrono::milliseconds{0}; passed < time; passed += std::chrono::milliseconds{100}) {
      fleet_share share{"there", 5, there, {}, {}};
      for (auto& w : workers_now) {
        load_report report;
        report.worker = {w.id};
        report.worker_epoch = {1};
        report.running = w.running;
        report.steps = w.done += w.steps;
        if (w.node.empty())
          tell(report);
        else
          share.loads.push_back(report);
      }
      if (!there.empty())
        tell(share);
      pass(std::chrono::milliseconds{100});
    }
  }

  std::vector<std::uint64_t> hung() const {
    std::vector<std::uint64_t> result;
    for (auto id : told->fleets.back().hung)
      result.push_back(id.value);
    return result;
  }

  node_health health() {
    caf::scoped_actor self{*system};
    node_health result;
    auto answer = self->request(directory, caf::infinite, find_health{});
    run();
    answer.receive([&](const node_health& h) { result = h; }, [](const caf::error&) {});
    return result;
  }

  template <class Message>
  void tell(Message message) {
    caf::anon_send(directory, std::move(message));
    run();
  }

  std::vector<std::uint64_t> known() const {
    std::vector<std::uint64_t> result;
    for (auto& m : told->fleets.back().members)
      result.push_back(m.record.id.value);
    return result;
  }

  std::shared_ptr<heard> told = std::make_shared<heard>();
  directory_actor directory;
  fleet_sink_actor follower;
  std::vector<kv_sink_actor> workers;
};

using ids = std::vector<std::uint64_t>;

} // namespace

TEST_CASE("workers of other nodes are in the fleet until their node leaves, its share lacks them, or they end") {
  directory_fixture f;
  auto a = f.make_member(1), b = f.make_member(2), c = f.make_member(3), d = f.make_member(4);
  f.tell(a);
  f.tell(fleet_share{"there", 5, {b, c, d}, {}, {}});
  CHECK(f.known() == ids{1, 2, 3, 4});
  f.tell(fleet_share{"there", 5, {b, d}, {}, {}});
  CHECK(f.known() == ids{1, 2, 4});
  caf::anon_send_exit(d.handle, caf::exit_reason::kill);
  f.run();
  CHECK(f.known() == ids{1, 2});
  f.tell(node_left{"there", 4}); // an earlier life of it
  CHECK(f.known() == ids{1, 2});
  f.tell(node_left{"there", 5});
  CHECK(f.known() == ids{1});
}

TEST_CASE("a share of an earlier life of a node, or of this node, changes nothing") {
  directory_fixture f;
  auto a = f.make_member(1), b = f.make_member(2);
  f.tell(fleet_share{"there", 5, {a}, {}, {}});
  f.tell(fleet_share{"there", 4, {b}, {}, {}});
  f.tell(fleet_share{"here", 99, {b}, {}, {}});
  CHECK(f.known() == ids{1});
}

TEST_CASE("a worker id that another node has already is not taken over") {
  directory_fixture f;
  auto a = f.make_member(1), impostor = f.make_member(1, 7);
  f.tell(fleet_share{"there", 5, {a}, {}, {}});
  f.tell(fleet_share{"elsewhere", 5, {impostor}, {}, {}});
  REQUIRE(f.known() == ids{1});
  CHECK(f.told->fleets.back().members[0].handle == a.handle);
}

TEST_CASE("a worker that drains is not in the fleet any more, wherever it is") {
  directory_fixture f;
  auto a = f.make_member(1), b = f.make_member(2);
  f.tell(a);
  f.tell(fleet_share{"there", 5, {b}, {}, {}});
  load_report draining;
  draining.draining = true;
  draining.worker = {1};
  draining.worker_epoch = {1};
  f.tell(draining);
  CHECK(f.known() == ids{2});
  f.tell(a); // it has another endpoint
  CHECK(f.known() == ids{2});
  draining.worker = {2};
  f.tell(fleet_share{"there", 5, {b}, {draining}, {}});
  CHECK(f.known() == ids{});
}

TEST_CASE("links are told what this node offers: at once, at each change and regularly; never what others do") {
  directory_fixture f;
  auto links = f.system->spawn(take_shares, f.told);
  auto a = f.make_member(1), b = f.make_member(2);
  f.tell(fleet_share{"there", 5, {b}, {}, {}});
  f.tell(links);
  REQUIRE(f.told->shares.size() == 1);
  CHECK(f.told->shares[0].node == "here");
  CHECK(f.told->shares[0].life == 10);
  CHECK(f.told->shares[0].members.empty());
  f.tell(a);
  REQUIRE(f.told->shares.size() == 2);
  REQUIRE(f.told->shares[1].members.size() == 1);
  CHECK(f.told->shares[1].members[0].handle == a.handle);
  CHECK(f.told->shares[1].loads.size() == 1);
  f.pass(std::chrono::seconds{1});
  CHECK(f.told->shares.size() >= 5);
  caf::anon_send_exit(links, caf::exit_reason::user_shutdown);
  f.run();
}

TEST_CASE("a worker of which nothing is heard is hung within 3 s, wherever it is, and back with its next report") {
  directory_fixture f;
  auto a = f.make_member(1), b = f.make_member(2), c = f.make_member(3), d = f.make_member(4);
  f.tell(a);
  f.tell(b);
  std::vector there{c, d};
  f.pass_with({{1, 0, 0, ""}, {2, 0, 0, ""}, {3, 0, 0, "there"}, {4, 0, 0, "there"}}, there, std::chrono::seconds{5});
  CHECK(f.known() == ids{1, 2, 3, 4});
  f.pass_with({{1, 0, 0, ""}, {3, 0, 0, "there"}}, there, std::chrono::milliseconds{1900});
  CHECK(f.known() == ids{1, 2, 3, 4});
  f.pass_with({{1, 0, 0, ""}, {3, 0, 0, "there"}}, there, std::chrono::milliseconds{700});
  CHECK(f.known() == ids{1, 3});
  CHECK(f.hung() == ids{2, 4});
  CHECK(f.health().problems.size() == 1); // of its own
  f.pass_with({{1, 0, 0, ""}, {2, 0, 0, ""}, {4, 0, 0, "there"}}, there, std::chrono::milliseconds{100});
  CHECK(f.known() == ids{1, 2, 3, 4});
  CHECK(f.hung() == ids{});
}

TEST_CASE("what this node offers to others has no news of a worker that is silent") {
  directory_fixture f;
  auto links = f.system->spawn(take_shares, f.told);
  f.tell(f.make_member(1));
  f.tell(links);
  f.pass_with({{1, 0, 0, ""}}, {}, std::chrono::seconds{1});
  CHECK(f.told->shares.back().loads.size() == 1);
  f.pass(std::chrono::seconds{1});
  CHECK(f.told->shares.back().members.size() == 1);
  CHECK(f.told->shares.back().loads.empty());
  caf::anon_send_exit(links, caf::exit_reason::user_shutdown);
  f.run();
}

TEST_CASE("a worker without a step while work waits is hung if another of its kind makes steps") {
  directory_fixture f;
  f.tell(f.make_member(1));
  f.tell(f.make_member(2));
  f.pass_with({{1, 3, 8, ""}, {2, 0, 8, ""}}, {}, std::chrono::milliseconds{4500});
  CHECK(f.hung() == ids{});
  f.pass_with({{1, 3, 8, ""}, {2, 0, 8, ""}}, {}, std::chrono::milliseconds{1000});
  CHECK(f.known() == ids{1});
  CHECK(f.hung() == ids{2});
  CHECK(f.health().problems.size() == 1);
  f.pass_with({{1, 3, 8, ""}, {2, 1, 8, ""}}, {}, std::chrono::milliseconds{200});
  CHECK(f.known() == ids{1, 2});
  // Neither is better than the other: a slow one is better than none.
  f.pass_with({{1, 0, 8, ""}, {2, 0, 8, ""}}, {}, std::chrono::milliseconds{8000});
  CHECK(f.known() == ids{1, 2});
}

TEST_CASE("idle workers, and workers at full load, do not hang") {
  directory_fixture f;
  f.tell(f.make_member(1));
  f.tell(f.make_member(2));
  f.pass_with({{1, 0, 0, ""}, {2, 1, 64, ""}}, {}, std::chrono::seconds{60});
  CHECK(f.known() == ids{1, 2});
}

TEST_CASE("a process that was stopped for a while does not take its workers for silent") {
  directory_fixture f;
  f.tell(f.make_member(1));
  f.pass_with({{1, 0, 0, ""}}, {}, std::chrono::seconds{1});
  f.scheduler().advance_time(std::chrono::minutes{1});
  f.run();
  CHECK(f.known() == ids{1});
  f.pass_with({{1, 0, 0, ""}}, {}, std::chrono::seconds{1});
  CHECK(f.told->fleets.size() == 2); // nothing changed: the empty one, and that with the worker
}

TEST_CASE("workers of a model that this node knows with another vocabulary are left out, others are not") {
  directory_fixture f{{{"known", {7}}}};
  auto right = f.make_member(1), wrong = f.make_member(2), unknown = f.make_member(3);
  right.record.model = wrong.record.model = "known";
  right.record.vocabulary = {7};
  wrong.record.vocabulary = {8};
  unknown.record.model = "unknown";
  f.tell(fleet_share{"there", 5, {wrong, unknown}, {}, {}});
  CHECK(f.known() == ids{3});
  CHECK_FALSE(f.health().healthy()); // nobody can ask for that one
  f.tell(fleet_share{"there", 5, {right, wrong, unknown}, {}, {}});
  CHECK(f.known() == ids{1, 3});
  CHECK(f.health().healthy());
}
