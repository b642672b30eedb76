// SPDX-License-Identifier: Apache-2.0
#include "actors/node/directory.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <vector>

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

struct directory_fixture : virtual_time {
  directory_fixture() {
    directory_config c;
    c.node = "here";
    c.life = 10;
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
