// SPDX-License-Identifier: Apache-2.0
#include "actors/node/node_links.hpp"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <set>

#include <caf/actor_registry.hpp>
#include <caf/send.hpp>

#include "actors/node/local_services.hpp"
#include "tests/support/virtual_time.hpp"

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

/// Ports of a network that is one actor system.
struct network {
  std::map<std::uint16_t, caf::strong_actor_ptr> listening;
  std::set<std::uint16_t> cut;
  /// Connections to these lead nowhere.
  std::set<std::uint16_t> deaf;
  std::uint32_t connects = 0;
};

node_gate_actor::behavior_type deaf_gate() {
  return {
    [](const node_hello&) -> caf::result<node_hello> { return caf::delegated<node_hello>{}; }, // as if to another
    [](fleet_share&) {},
  };
}

/// CAF's middleman as far as node_links uses it.
caf::io::middleman_actor::behavior_type fake_middleman(caf::io::middleman_actor::pointer self,
                                                       std::shared_ptr<network> net) {
  return {
    [net](caf::publish_atom, std::uint16_t port, const caf::strong_actor_ptr& who, const std::set<std::string>&,
          const std::string&, bool) -> caf::result<std::uint16_t> {
      if (net->listening.contains(port))
        return caf::make_error(caf::sec::cannot_open_port);
      net->listening[port] = who;
      return port;
    },
    [](caf::open_atom, std::uint16_t, const std::string&, bool) -> caf::result<std::uint16_t> {
      return caf::make_error(caf::sec::cannot_open_port);
    },
    [self, net](caf::connect_atom, const std::string&,
                std::uint16_t port) -> caf::result<caf::node_id, caf::strong_actor_ptr, std::set<std::string>> {
      ++net->connects;
      auto found = net->listening.find(port);
      if (found == net->listening.end() || net->cut.contains(port))
        return caf::make_error(caf::sec::cannot_connect_to_node);
      auto gate =
        net->deaf.contains(port) ? caf::actor_cast<caf::strong_actor_ptr>(self->spawn(deaf_gate)) : found->second;
      return {caf::node_id{}, gate, std::set<std::string>{}};
    },
    [net](caf::unpublish_atom, const caf::actor_addr&, std::uint16_t port) -> caf::result<void> {
      net->listening.erase(port);
      return caf::unit;
    },
    [](caf::close_atom, std::uint16_t) -> caf::result<void> { return caf::unit; },
    [](caf::spawn_atom, const caf::node_id&, const std::string&, const caf::message&, const std::set<std::string>&)
      -> caf::result<caf::strong_actor_ptr> { return caf::make_error(caf::sec::unsupported_operation); },
    [](caf::get_atom, caf::group_atom, const caf::node_id&, const std::string&) -> caf::result<caf::actor> {
      return caf::make_error(caf::sec::unsupported_operation);
    },
    [](caf::get_atom, const caf::node_id&) -> caf::result<caf::node_id, std::string, std::uint16_t> {
      return caf::make_error(caf::sec::unsupported_operation);
    },
  };
}

/// What the nodes tell their directory: one for all, since they share a registry.
struct told {
  std::vector<fleet_share> shares;
  std::vector<node_left> left;
  std::map<caf::actor_id, share_sink_actor> links;
};

directory_actor::behavior_type fake_directory(directory_actor::pointer, std::shared_ptr<told> to) {
  return {
    [](fleet_member&) {},
    [](fleet_sink_actor&) {},
    [](const load_report&) {},
    [](find_health) { return node_health{}; },
    [to](share_sink_actor& links) { to->links[links.id()] = links; },
    [to](const fleet_share& share) { to->shares.push_back(share); },
    [to](const node_left& gone) { to->left.push_back(gone); },
  };
}

struct links_fixture : virtual_time {
  links_fixture() {
    middleman = system->spawn(fake_middleman, net);
    directory = system->spawn(fake_directory, heard);
    system->registry().put(std::string{local_services::directory}, directory);
  }
  ~links_fixture() {
    system->registry().erase(std::string{local_services::directory});
    for (auto& n : nodes)
      end(n);
    caf::anon_send_exit(directory, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(middleman, caf::exit_reason::user_shutdown);
    run();
  }

  node_gate_actor start(const std::string& name, std::uint16_t port, std::vector<std::uint16_t> seeds,
                        const std::string& cluster = "c", std::uint64_t life = 1, std::uint16_t wire = wire_version) {
    node_links_config c;
    c.wire = wire;
    c.silent_ticks_max = silent_ticks_max;
    c.node = name;
    c.life = life;
    c.cluster = cluster;
    c.listen = {"127.0.0.1", port};
    for (auto seed : seeds)
      c.seeds.push_back({"127.0.0.1", seed});
    c.middleman = [this] { return middleman; };
    nodes.push_back(spawn_node_links(*system, c));
    pass(300ms);
    return nodes.back();
  }

  void end(node_gate_actor& node) {
    caf::anon_send_exit(node, caf::exit_reason::kill);
    node = node_gate_actor{};
    run();
  }

  /// Names of the nodes that hear what `node` offers.
  std::size_t hearers_of(const node_gate_actor& node, const std::string& name) {
    heard->shares.clear();
    fleet_share offer;
    offer.node = name;
    offer.life = 1;
    caf::anon_send(node, offer);
    run();
    return heard->shares.size();
  }

  /// The directory here shares nothing by itself.
  std::uint32_t silent_ticks_max = 1'000'000;
  std::shared_ptr<network> net = std::make_shared<network>();
  std::shared_ptr<told> heard = std::make_shared<told>();
  caf::io::middleman_actor middleman;
  directory_actor directory;
  std::vector<node_gate_actor> nodes;
};

} // namespace

TEST_CASE("nodes that know one seed are linked with all that it knows") {
  links_fixture f;
  auto front = f.start("front", 1, {});
  auto a = f.start("a", 2, {1});
  auto b = f.start("b", 3, {1});
  CHECK(f.hearers_of(front, "front") == 2);
  f.pass(1s); // the neighbours were named in that share
  CHECK(f.hearers_of(a, "a") == 2);
  CHECK(f.hearers_of(b, "b") == 2);
}

TEST_CASE("a seed that is not there yet is tried again, and one that is this node is not tried for ever") {
  links_fixture f;
  auto a = f.start("a", 2, {1, 2});
  f.pass(500ms);
  auto front = f.start("front", 1, {});
  f.pass(3s);
  CHECK(f.hearers_of(a, "a") == 1);
  auto before = f.net->connects;
  f.pass(10s);
  CHECK(f.net->connects == before);
}

TEST_CASE("a link that ends is reported, and made again once the node is back in its next life") {
  links_fixture f;
  auto front = f.start("front", 1, {});
  auto a = f.start("a", 2, {1});
  f.end(f.nodes[1]);
  a = node_gate_actor{};
  f.pass(100ms);
  REQUIRE(f.heard->left.size() == 1);
  CHECK(f.heard->left[0] == node_left{"a", 1});
  a = f.start("a", 2, {1}, "c", 2);
  f.pass(5s);
  CHECK(f.hearers_of(front, "front") == 1);
  CHECK(f.heard->left.size() == 1);
}

TEST_CASE("a node of another cluster or wire version, or with the name of a node that is there, is refused") {
  links_fixture f;
  auto front = f.start("front", 1, {});
  auto stranger = f.start("x", 2, {1}, "other");
  auto twin = f.start("front", 3, {1}, "c", 2);
  auto newer = f.start("y", 4, {1}, "c", 1, wire_version + 1);
  f.pass(5s);
  CHECK(f.hearers_of(front, "front") == 0);
  CHECK(f.heard->left.empty());
}

TEST_CASE("a link that was made from both sides is one") {
  links_fixture f;
  auto a = f.start("a", 1, {2});
  auto b = f.start("b", 2, {1});
  f.pass(5s);
  CHECK(f.hearers_of(a, "a") == 1);
  CHECK(f.hearers_of(b, "b") == 1);
  CHECK(f.heard->left.empty());
}

TEST_CASE("a link over which nothing comes is dropped, and made again") {
  links_fixture f;
  f.silent_ticks_max = 30;
  auto front = f.start("front", 1, {});
  auto a = f.start("a", 2, {1});
  auto share = [&](const node_gate_actor& node, const std::string& name) {
    fleet_share offer;
    offer.node = name;
    offer.life = 1;
    caf::anon_send(node, offer);
    f.run();
  };
  for (int i = 0; i < 20; ++i) {
    share(front, "front");
    share(a, "a");
    f.pass(250ms);
  }
  CHECK(f.heard->left.empty());
  for (int i = 0; i < 12; ++i) { // only one of them is heard
    share(front, "front");
    f.pass(250ms);
  }
  f.pass(500ms);
  REQUIRE(f.heard->left.size() == 1);
  CHECK(f.heard->left[0] == node_left{"a", 1});
  f.pass(6s); // after the courtesy to the side that had connected
  CHECK(f.hearers_of(front, "front") == 1);
}

TEST_CASE("a hello that nobody answers is said again long before the other side tries") {
  links_fixture f;
  auto front = f.start("front", 1, {});
  f.net->deaf = {1};
  auto a = f.start("a", 2, {1});
  f.net->deaf = {};
  f.pass(1s);
  CHECK(f.hearers_of(a, "a") == 0);
  f.pass(1500ms);
  CHECK(f.hearers_of(a, "a") == 1);
  CHECK(f.net->connects == 2);
}

TEST_CASE("a port that is taken ends the actor") {
  links_fixture f;
  auto a = f.start("a", 1, {});
  bool ended = false;
  f.nodes.push_back({});
  node_links_config c;
  c.node = "b";
  c.listen = {"127.0.0.1", 1};
  c.middleman = [&] { return f.middleman; };
  auto b = spawn_node_links(*f.system, c);
  b->attach_functor([&ended](const caf::error& why) { ended = static_cast<bool>(why); });
  f.run();
  CHECK(ended);
}
