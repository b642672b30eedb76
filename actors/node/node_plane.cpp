// SPDX-License-Identifier: Apache-2.0
#include "actors/node/node_plane.hpp"

#include <caf/openssl/manager.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "actors/node/plain_plane.hpp"

namespace troupe {

node_plane::node_plane(caf::actor_system& system, const cluster_section& cluster)
  : system_(system), is_lent_(cluster.encrypted()) {
  connections_ = is_lent_ ? system.openssl_manager().actor_handle() : spawn_plain_plane(system);
}

node_plane::~node_plane() {
  if (is_lent_)
    return;
  // It has a thread of its own, which must not outlive the system.
  caf::scoped_actor self{system_};
  self->send_exit(connections_, caf::exit_reason::kill);
  self->wait_for(connections_);
}

} // namespace troupe
