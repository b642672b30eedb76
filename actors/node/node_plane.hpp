// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <caf/io/middleman_actor.hpp>

#include "actors/config/node_config.hpp"

namespace troupe {

/// What opens and makes the connections of a node with others: with certificates, CAF's TLS, that both sides
/// authenticate (tls_watch.hpp); without, a plain_plane. Outlives the actors that use it.
class node_plane {
public:
  node_plane(caf::actor_system&, const cluster_section&);
  ~node_plane();
  node_plane(const node_plane&) = delete;
  node_plane& operator=(const node_plane&) = delete;

  const caf::io::middleman_actor& connections() const { return connections_; }

private:
  caf::actor_system& system_;
  caf::io::middleman_actor connections_;
  /// It is CAF's, which ends it.
  bool is_lent_ = false;
};

} // namespace troupe
