// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <caf/disposable.hpp>
#include <caf/io/middleman_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/config/address.hpp"
#include "actors/node/discovery_messages.hpp"
#include "messages/interfaces.hpp"
#include "messages/wire_version.hpp"

namespace troupe {

struct node_links_config {
  /// This node's name and start, as in node_hello.
  std::string node;
  std::uint64_t life = 0;
  std::string cluster;
  std::uint16_t wire = wire_version;
  listen_address listen;
  /// Nodes to find the others by; never given up.
  std::vector<listen_address> seeds;
  /// Opens and makes connections.
  std::function<caf::io::middleman_actor()> middleman;
  /// Told the port once the node plane listens; may be empty. Runs on the actor.
  std::function<void(std::uint16_t port)> on_listening;
  /// Called with each tick; may be empty.
  std::function<void()> show_out_strangers;
  std::chrono::milliseconds backoff_first{100};
  std::chrono::milliseconds backoff_max{2'000};
  /// How long opening a port or a connection may take.
  std::chrono::milliseconds answer_max{5'000};
  /// How long a hello may take. After one side was stopped, CAF may take a new connection for a second one beside that
  /// which is about to end, and nothing comes back over it until it ends as well, by CAF's heartbeats, in 2 s.
  std::chrono::milliseconds hello_max{2'000};
  /// How long the side that did not make a link leaves it to the other to make it again, or for the first time: longer
  /// than a hello in vain and the one after it, so that they do not cross.
  std::chrono::milliseconds courtesy{5'000};
  /// A node that others named and that cannot be reached for so long is forgotten.
  std::chrono::milliseconds forget_after{60'000};
  /// How often it looks for a restarted directory, and at its links.
  std::chrono::milliseconds tick_interval{100};
  /// A link over which nothing came in so many ticks is dropped; shares come several times a second. Ticks, because a
  /// process that was stopped must not take its own silence for that of others.
  std::uint32_t silent_ticks_max = 30;
  std::uint32_t targets_max = 1'024;
};

/// The door with its entrance for this node's own discovery.
using local_node_links_actor = node_gate_actor::extend<auto(found_nodes)->caf::result<void>>;

// node_links: the node's door and its links to the other nodes.
//
// Publishes itself at the listening port and connects to the seeds, then to every node that a linked one names, so
// that all are linked with all. On a link each side sends what its directory offers; what comes in goes to the
// directory. A link that breaks (the other's process died, or CAF's heartbeats stopped) is reported and made
// again with back-off. A link made from both sides is one link; but CAF keeps one connection in each direction if they
// cross, and its heartbeats then end both, so only one side connects: who has the other as a seed, or the lower
// address, and after a break who had connected. The other side waits for a while before it tries itself.
//
//   target: waiting ──▶ connecting ──▶ greeting ──▶ linked
//              ▲            │             │           │
//              └────────────┴─────────────┴───────────┘
//
// Ends with its supervisor, or with errc::resource if it cannot listen. Bounds: targets_max nodes.

class node_links_state {
public:
  static inline const char* name = "troupe.node-links";

  node_links_state(local_node_links_actor::pointer self, node_links_config config);
  ~node_links_state();

  local_node_links_actor::behavior_type make_behavior();

private:
  /// Who connected.
  enum class made_by : std::uint8_t { us, them };
  /// Of the configuration, or found in any other way.
  enum class origin : std::uint8_t { seed, found };

  struct link {
    std::uint64_t life = 0;
    std::string address;
    node_gate_actor gate;
    made_by who = made_by::them;
    /// Since the last share.
    std::uint32_t silent_ticks = 0;
  };
  struct target {
    listen_address where;
    origin from = origin::found;
    /// It is being tried, or waits to be.
    bool is_busy = false;
    std::uint32_t failures = 0;
    std::chrono::steady_clock::time_point failing_since;
    caf::disposable retry;
    /// The last failure that was logged: the same is not logged again.
    std::string complaint;
  };

  void listen();
  void tick();
  // targets
  void add_target(const listen_address&, origin);
  void add_target(const std::string& address);
  void connect(const std::string& address);
  void connect_later(target&, const std::string& address, std::chrono::milliseconds wait);
  void greet(const std::string& address, const node_gate_actor&);
  void fail(const std::string& address, const std::string& why);
  bool is_linked(const std::string& address) const;
  // links
  node_hello hello() const;
  caf::result<node_hello> receive_hello(const node_hello&);
  caf::error refusal(const node_hello&) const;
  /// `address`: where it was reached, or says that it listens.
  void admit(const node_hello&, const std::string& address, made_by);
  void lose(const caf::actor_addr&);
  void drop_silent();
  void drop(std::map<std::string, link>::iterator, const std::string& why);
  // shares
  void take(fleet_share&);
  directory_actor directory() const;

  local_node_links_actor::pointer self_;
  node_links_config config_;
  caf::io::middleman_actor middleman_;
  /// Two nodes that try at the same time must not do so for ever.
  std::minstd_rand jitter_;
  std::uint16_t port_ = 0;
  /// By address.
  std::map<std::string, target> targets_;
  /// By node name.
  std::map<std::string, link> links_;
  /// Why nodes that greeted us were refused, by address: the same is not logged again.
  std::map<std::string, std::string> refused_;
  /// The directory that sends us what this node offers.
  caf::actor_addr directory_;
};

local_node_links_actor spawn_node_links(caf::actor_system&, node_links_config);

} // namespace troupe
