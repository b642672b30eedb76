// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include <caf/actor_system_config.hpp>

#include "actors/config/node_config.hpp"
#include "messages/errc.hpp"

namespace troupe {

/// This node among others: see node_hello.
struct node_identity {
  std::string node;
  std::uint64_t life = 0;
};

/// The configured name, else the address, else (port 0) a drawn one; the life is the time of the call.
node_identity make_node_identity(const cluster_section&);

/// CAF ends its TLS actor on a file that it cannot use, so they are looked at before.
expected<void, error> check_cluster_files(const cluster_section&);

/// What an actor system of a node is made with. CAF's own options come from here alone: it reads neither argv nor a
/// file. With `cluster`, CAF's network module is loaded, whose heartbeats see a dead or hung process in 2 s.
class node_system_config : public caf::actor_system_config {
public:
  explicit node_system_config(const node_config&);
};

} // namespace troupe
