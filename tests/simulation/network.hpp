// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/io/middleman_actor.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/proxy_registry.hpp>
#include <caf/scoped_execution_unit.hpp>

#include "tests/simulation/timeline.hpp"
#include "tests/support/splitmix64.hpp"

namespace troupe::test {

class network;

/// A machine of a simulated network, from 1. Its address outlives the processes on it.
using host_index = std::uint32_t;
std::string address_of(host_index);

/// What connects one process (an actor system) with the others, in the place of CAF's network module: actors of other
/// processes are proxies, and what is sent to them goes through CAF's serialization and then through the network.
class network_port final : public caf::proxy_registry::backend {
public:
  network_port(network&, host_index, std::uint32_t process, caf::actor_system&);
  ~network_port() override;

  host_index host() const { return host_; }
  /// Unique in the network.
  std::uint32_t process() const { return process_; }
  caf::actor_system& system() { return system_; }
  caf::proxy_registry& proxies() { return proxies_; }

  /// What node_links opens and makes connections with.
  caf::io::middleman_actor middleman();

  /// Ends what belongs to the actor system, before it ends.
  void end();

  /// The process was stopped (SIGSTOP): nothing reaches it, and nobody hears it.
  bool is_frozen() const { return frozen_; }
  /// The process has ended.
  bool is_dead() const { return dead_; }

  caf::strong_actor_ptr make_proxy(caf::node_id, caf::actor_id) override;
  void set_last_hop(caf::node_id*) override {}

  /// Called by proxies.
  void send(const caf::node_id& to, caf::actor_id receiver, caf::mailbox_element_ptr);

private:
  friend class network;

  network& network_;
  const host_index host_;
  const std::uint32_t process_;
  const caf::node_id id_;
  caf::actor_system& system_;
  caf::proxy_registry proxies_;
  caf::scoped_execution_unit unit_;
  caf::io::middleman_actor middleman_;
  std::map<std::uint16_t, caf::strong_actor_ptr> listening_;
  bool frozen_ = false;
  bool dead_ = false;
  /// Grows with each freeze.
  std::uint64_t freezes_ = 0;
  /// What came while it was frozen, as in a kernel's buffers.
  std::deque<std::function<void()>> kept_;
};

/// Links between processes under virtual time. A link keeps its messages in order; each takes a drawn time, so that
/// those of different links overtake each other. Like CAF's network module: a dead process is noticed by its closed
/// connections, a stopped one or a cut path by heartbeats (silence_max); the end of a link ends the proxies of the
/// other process; two links that cross in the making are both ended by the heartbeats. Its model differs in one thing:
/// bytes that a cut path held back arrive when it is whole again.
class network {
public:
  network(timeline& time, splitmix64& random) : time_(time), random_(random) {}

  std::chrono::microseconds latency_max{2000};
  std::chrono::milliseconds silence_max{2000};

  network_port& add(host_index, caf::actor_system&);
  /// The node id of the next process that is added.
  caf::node_id next_node_id() const;

  /// kill -9.
  void kill(network_port&);
  void freeze(network_port&);
  void thaw(network_port&);
  /// Nothing gets from one host to the other, in this direction.
  void cut(host_index from, host_index to);
  void heal(host_index from, host_index to);
  bool is_cut(host_index from, host_index to) const { return cuts_.contains({from, to}); }
  /// Messages that were sent so far.
  std::uint64_t sent() const { return sent_; }

private:
  friend class network_port;

  /// One process' view of its link with another.
  struct side {
    bool up = false;
    std::uint64_t number = 0;
    virtual_instant last_due{};
    /// What a cut path holds back.
    std::deque<std::function<void()>> held;
  };
  using frame = std::function<void(network_port& receiver)>;

  caf::io::middleman_actor spawn_middleman(network_port&);
  void connect(network_port& from, host_index, std::uint16_t port, caf::io::middleman_actor::pointer,
               caf::typed_response_promise<caf::node_id, caf::strong_actor_ptr, std::set<std::string>>,
               virtual_instant until);
  void establish(network_port&, network_port&);
  /// Of the link as it is now; void if it ends before.
  void send(network_port& from, network_port& to, frame);
  void arrive(network_port& to, std::function<void()>);
  void lose(network_port& mine, network_port& other);
  void note_silence(network_port& hearer, network_port& silent, std::function<bool()> still);
  side& view(const network_port& mine, const network_port& other) { return links_[{mine.process_, other.process_}]; }
  network_port* find(const caf::node_id&);
  std::chrono::nanoseconds latency();

  timeline& time_;
  splitmix64& random_;
  std::vector<std::unique_ptr<network_port>> ports_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, side> links_;
  std::map<std::pair<host_index, host_index>, std::uint64_t> cuts_;
  /// Connects under way.
  std::set<std::pair<host_index, host_index>> connecting_;
  std::uint64_t numbers_ = 0;
  std::uint64_t sent_ = 0;
};

} // namespace troupe::test

/// CAF lets a module of this name set the node id, which its own network module draws at random; a simulation needs the
/// same in each replay.
class caf::net::middleman final : public caf::actor_system::module {
public:
  middleman(caf::actor_system& system, caf::node_id id) : system_(system), id_(std::move(id)) {}
  void start() override {}
  void stop() override {}
  void init(caf::actor_system_config&) override;
  id_t id() const override { return network_manager; }
  void* subtype_ptr() override { return this; }

private:
  caf::actor_system& system_;
  caf::node_id id_;
};
