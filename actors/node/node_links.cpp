// SPDX-License-Identifier: Apache-2.0
#include "actors/node/node_links.hpp"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <fmt/format.h>

#include "actors/log/log.hpp"
#include "actors/log/unhandled_exception.hpp"
#include "actors/node/local_services.hpp"
#include "messages/caf_error.hpp"

namespace troupe {

node_links_state::node_links_state(local_node_links_actor::pointer self, node_links_config config)
  : self_(self), config_(std::move(config)), middleman_(config_.middleman()),
    jitter_(static_cast<std::uint32_t>(std::hash<std::string>{}(config_.node) ^ config_.life)) {}

node_links_state::~node_links_state() {
  for (auto& [address, t] : targets_)
    t.retry.dispose();
  if (port_ != 0)
    caf::anon_send(middleman_, caf::unpublish_atom_v, self_->address(), port_);
}

local_node_links_actor::behavior_type node_links_state::make_behavior() {
  log_unhandled_exceptions(self_);
  self_->set_down_handler([this](const caf::down_msg& down) { lose(down.source); });
  listen();
  return {
    [this](const node_hello& other) { return receive_hello(other); },
    [this](fleet_share& offer) { take(offer); },
    [this](const found_nodes& found) {
      for (auto& address : found.addresses)
        add_target(address);
    },
  };
}

void node_links_state::listen() {
  auto me = caf::actor_cast<caf::strong_actor_ptr>(self_);
  self_
    ->request(middleman_, config_.answer_max, caf::publish_atom_v, config_.listen.port, me, std::set<std::string>{},
              config_.listen.host, true)
    .then(
      [this](std::uint16_t port) {
        port_ = config_.listen.port = port;
        if (config_.on_listening)
          config_.on_listening(port);
        for (auto& seed : config_.seeds)
          add_target(seed, origin::seed);
        tick();
      },
      [this](const caf::error& e) {
        auto why = "the node plane cannot listen at " + to_string(config_.listen) + ": " + caf::to_string(e);
        log_error("cluster", "cannot listen", {{"why", why}});
        self_->quit(to_caf_error({errc::resource, why}));
      });
}

directory_actor node_links_state::directory() const {
  return local_services::find<directory_actor>(self_->system(), local_services::directory);
}

void node_links_state::tick() {
  if (auto local = directory(); local && local.address() != directory_) {
    directory_ = local.address();
    self_->send(local, caf::actor_cast<share_sink_actor>(self_));
  }
  drop_silent();
  if (config_.show_out_strangers)
    config_.show_out_strangers();
  self_->run_delayed(config_.tick_interval, [this] { tick(); });
}

// -- targets --------------------------------------------------------------------------------------

void node_links_state::add_target(const std::string& address) {
  if (auto parsed = parse_listen_address(address))
    add_target(*parsed, origin::found);
}

void node_links_state::add_target(const listen_address& where, origin from) {
  auto address = to_string(where);
  if (where.port == 0 || address == to_string(config_.listen) || targets_.contains(address)
      || targets_.size() >= config_.targets_max)
    return;
  auto& t = targets_[address];
  t.where = where;
  t.from = from;
  if (is_linked(address))
    return;
  if (from == origin::seed || to_string(config_.listen) < address)
    connect(address);
  else
    connect_later(t, address, config_.courtesy);
}

bool node_links_state::is_linked(const std::string& address) const {
  return std::ranges::any_of(links_, [&](auto& kv) { return kv.second.address == address; });
}

void node_links_state::connect(const std::string& address) {
  auto& t = targets_.at(address);
  t.is_busy = true;
  self_->request(middleman_, config_.answer_max, caf::connect_atom_v, t.where.host, t.where.port)
    .then(
      [this, address](const caf::node_id&, const caf::strong_actor_ptr& gate, const std::set<std::string>&) {
        if (gate)
          greet(address, caf::actor_cast<node_gate_actor>(gate));
        else
          fail(address, "no node listens there");
      },
      [this, address](const caf::error& e) { fail(address, caf::to_string(e)); });
}

void node_links_state::greet(const std::string& address, const node_gate_actor& gate) {
  self_->request(gate, config_.hello_max, hello())
    .then(
      [this, address](const node_hello& other) {
        if (other.node == config_.node && other.life == config_.life) {
          targets_.erase(address); // it is this node
          return;
        }
        if (auto why = refusal(other)) {
          fail(address, from_caf_error(why).context);
          return;
        }
        if (auto t = targets_.find(address); t != targets_.end())
          t->second.is_busy = false;
        admit(other, address, made_by::us);
      },
      [this, address](const caf::error& e) { fail(address, from_caf_error(e).context); });
}

/// Tries again later.
void node_links_state::fail(const std::string& address, const std::string& why) {
  auto i = targets_.find(address);
  if (i == targets_.end())
    return;
  auto& t = i->second;
  auto now = self_->clock().now();
  if (t.failures++ == 0)
    t.failing_since = now;
  if (t.from == origin::found && now - t.failing_since > config_.forget_after) {
    targets_.erase(i);
    return;
  }
  if (std::exchange(t.complaint, why) != why)
    log_warning("cluster", "no link to a node; trying again", {{"address", address}, {"why", why}});
  auto wait = config_.backoff_first;
  for (std::uint32_t k = 1; k < t.failures && wait < config_.backoff_max; ++k)
    wait *= 2;
  connect_later(t, address, std::min(wait, config_.backoff_max));
}

void node_links_state::connect_later(target& t, const std::string& address, std::chrono::milliseconds wait) {
  t.is_busy = true;
  auto jitter = std::chrono::milliseconds{jitter_() % static_cast<std::uint32_t>(config_.backoff_first.count() + 1)};
  t.retry = self_->run_delayed(wait + jitter, [this, address] {
    auto again = targets_.find(address);
    if (again == targets_.end())
      return;
    if (is_linked(address))
      again->second.is_busy = false; // from the other side
    else
      connect(address);
  });
}

// -- links ----------------------------------------------------------------------------------------

node_hello node_links_state::hello() const {
  return {config_.node,
          config_.life,
          config_.cluster,
          config_.wire,
          to_string(config_.listen),
          caf::actor_cast<node_gate_actor>(self_)};
}

caf::error node_links_state::refusal(const node_hello& other) const {
  // One sentence for both sides' logs.
  if (other.cluster != config_.cluster)
    return to_caf_error(
      {errc::invalid_argument, fmt::format("node '{}' belongs to cluster '{}' and node '{}' to cluster '{}'",
                                           other.node, other.cluster, config_.node, config_.cluster)});
  if (other.wire != config_.wire)
    return to_caf_error(
      {errc::invalid_argument, fmt::format("node '{}' speaks wire version {} and node '{}' version {}", other.node,
                                           other.wire, config_.node, config_.wire)});
  if (other.node.empty() || (other.node == config_.node && other.life != config_.life))
    return to_caf_error({errc::invalid_argument, "two nodes have the name '" + other.node + "'"});
  auto known = links_.find(other.node);
  if (known != links_.end() && other.life < known->second.life)
    return to_caf_error({errc::stale, "node '" + other.node + "' has been started again since"});
  return {};
}

caf::result<node_hello> node_links_state::receive_hello(const node_hello& other) {
  // It came over a connection that CAF did not take for a node's: an answer would go nowhere, and so would a share.
  if (!self_->current_sender())
    return to_caf_error({errc::unavailable, "the connection has no way back"});
  if (auto why = refusal(other)) {
    auto context = from_caf_error(why).context;
    if (refused_.size() < config_.targets_max && std::exchange(refused_[other.address], context) != context)
      log_warning("cluster", "a node was refused",
                  {{"node", other.node}, {"address", other.address}, {"why", context}});
    return why;
  }
  refused_.erase(other.address);
  if (other.node != config_.node)
    admit(other, other.address, made_by::them);
  return hello();
}

void node_links_state::admit(const node_hello& other, const std::string& address, made_by who) {
  auto known = links_.find(other.node);
  if (known != links_.end() && known->second.life == other.life && known->second.gate == other.gate)
    return; // made from both sides
  if (known != links_.end())
    drop(known, "it came again");
  if (!other.gate)
    return;
  self_->monitor(other.gate);
  links_[other.node] = {other.life, address, other.gate, who, 0};
  log_info("cluster", "linked", {{"node", other.node}, {"address", address}});
  add_target(address);
  if (auto t = targets_.find(address); t != targets_.end()) {
    t->second.failures = 0;
    t->second.complaint.clear();
  }
  if (auto local = directory()) { // so that the other hears at once what this node offers
    directory_ = local.address();
    self_->send(local, caf::actor_cast<share_sink_actor>(self_));
  }
}

void node_links_state::lose(const caf::actor_addr& who) {
  auto i = std::ranges::find_if(links_, [&](auto& kv) { return kv.second.gate.address() == who; });
  if (i != links_.end())
    drop(i, "the connection ended");
}

/// CAF may hold a connection that leads nowhere, after one side was stopped and the other has connected anew.
void node_links_state::drop_silent() {
  for (auto i = links_.begin(); i != links_.end();) {
    auto next = std::next(i);
    if (++i->second.silent_ticks > config_.silent_ticks_max)
      drop(i, "nothing comes over it");
    i = next;
  }
}

void node_links_state::drop(std::map<std::string, link>::iterator i, const std::string& why) {
  log_warning("cluster", "a link ended", {{"node", i->first}, {"why", why}});
  auto gone = links_.extract(i);
  self_->demonitor(gone.mapped().gate);
  if (auto local = directory())
    self_->send(local, node_left{gone.key(), gone.mapped().life});
  auto t = targets_.find(gone.mapped().address);
  if (t != targets_.end() && !t->second.is_busy)
    connect_later(t->second, t->first, gone.mapped().who == made_by::us ? config_.backoff_first : config_.courtesy);
}

// -- shares ---------------------------------------------------------------------------------------

void node_links_state::take(fleet_share& offer) {
  if (offer.node == config_.node) { // ours, from the directory
    for (auto& [node, l] : links_)
      offer.neighbours.push_back(l.address);
    for (auto& [node, l] : links_)
      self_->send(l.gate, offer);
    return;
  }
  auto from = links_.find(offer.node);
  if (from == links_.end() || from->second.life != offer.life)
    return;
  from->second.silent_ticks = 0;
  for (auto& address : offer.neighbours)
    add_target(address);
  if (auto local = directory())
    self_->send(local, std::move(offer));
}

local_node_links_actor spawn_node_links(caf::actor_system& system, node_links_config config) {
  return system.spawn<local_node_links_actor::stateful_impl<node_links_state>>(std::move(config));
}

} // namespace troupe
