// SPDX-License-Identifier: Apache-2.0
#include "actors/node/lease_keeper.hpp"

#include <utility>

#include <caf/actor_system.hpp>
#include <caf/send.hpp>

#include "actors/log/log.hpp"
#include "actors/log/unhandled_exception.hpp"
#include "actors/node/local_services.hpp"
#include "actors/node/node_links.hpp"

namespace troupe {

lease_keeper_state::lease_keeper_state(lease_keeper_actor::pointer self, lease_keeper_config config)
  : self_(self), config_(std::move(config)), folder_(config_.folder, config_.lease_time) {}

lease_keeper_state::~lease_keeper_state() {
  if (mine_)
    folder_.withdraw(*mine_);
}

lease_keeper_actor::behavior_type lease_keeper_state::make_behavior() {
  log_unhandled_exceptions(self_);
  self_->send(self_, renew_lease{});
  return {[this](const renew_lease&) { renew(); }};
}

void lease_keeper_state::renew() {
  auto done = exchange();
  auto why = done ? std::string{} : done.error().context;
  if (std::exchange(complaint_, why) != why && !why.empty())
    log_warning("cluster", "the lease folder cannot be used; trying again", {{"why", why}});
  // Often while this node does not listen yet.
  auto wait = listens_ ? config_.lease_time / 3 : std::chrono::nanoseconds{std::chrono::milliseconds{100}};
  self_->delayed_send(self_, wait, renew_lease{});
}

expected<void, error> lease_keeper_state::exchange() {
  auto address = config_.address();
  listens_ = !address.empty();
  if (!listens_)
    return {};
  node_lease mine{config_.cluster, config_.node, config_.life, std::move(address)};
  // A folder that this node cannot write still says where the others are.
  auto written = folder_.renew(mine);
  if (written)
    mine_ = std::move(mine);
  auto others = folder_.scan(config_.cluster, self_->clock().now());
  if (!others)
    return written ? unexpected{others.error()} : written;
  found_nodes found;
  for (auto& lease : *others)
    if (lease.node != config_.node)
      found.addresses.push_back(std::move(lease.address));
  if (auto links = local_services::find<local_node_links_actor>(self_->system(), local_services::node_links))
    self_->send(links, std::move(found));
  return written;
}

lease_keeper_actor spawn_lease_keeper(caf::actor_system& system, lease_keeper_config config) {
  return system.spawn<lease_keeper_actor::stateful_impl<lease_keeper_state>, caf::detached>(std::move(config));
}

} // namespace troupe
