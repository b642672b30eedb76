// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "actors/config/node_config.hpp"
#include "actors/node/node_supervisor.hpp"
#include "actors/node/node_system.hpp"

namespace troupe {

/// The plane of a node that has none of its own, for its child processes alone: on loopback, at a port of the system's
/// choice, and with a name that no other node happens to have.
cluster_section make_private_cluster();

/// The configuration of one isolated worker: a node of the parent's cluster whose only role it is. Any failure in it
/// ends the process, so that restarts are counted in one place, by the parent.
/// REQUIRES: parent.cluster
/// `role` is role_prefill or role_decode, `plane` where the parent's node plane listens.
node_config isolated_worker_config(const node_config& parent, const std::string& parent_node, std::uint32_t role,
                                   std::uint32_t index, const listen_address& plane);

/// A child_process for each worker of the sections with isolation. They start once `plane_port` is known, which
/// outlives them.
/// REQUIRES: config.cluster
std::vector<child_spec> make_isolated_workers(caf::actor_system&, const node_config& config, const node_identity&,
                                              const std::atomic<std::uint16_t>& plane_port);

} // namespace troupe
