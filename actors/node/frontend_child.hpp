// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "actors/config/node_config.hpp"
#include "actors/frontend/rest_gateway.hpp"
#include "actors/model/served_model.hpp"
#include "actors/node/node_supervisor.hpp"

namespace troupe {

/// The gateway of a node whose requests are seen through by sessions. Of the models it offers those that the fleet
/// serves. REQUIRES: config.http
rest_gateway_config make_gateway_config(caf::actor_system&, const node_config& config, std::vector<served_model>);

/// The gateway as a child of the node's supervisor, under local_services::rest_gateway. Where it listens on port 0,
/// it keeps the port that it got first, so that a restart does not move it.
child_spec make_frontend_child(caf::actor_system&, rest_gateway_config);

/// The admin listener as a child of the node's supervisor. `on_drain` asks the node to end, from any thread. `port` is
/// where it listens once it does, then not 0, and again after a restart; it outlives the supervisor.
/// REQUIRES: config.admin
child_spec make_admin_child(caf::actor_system&, const node_config& config, std::function<void()> on_drain,
                            std::atomic<std::uint16_t>& port);

} // namespace troupe
