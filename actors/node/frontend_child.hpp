// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "actors/config/node_config.hpp"
#include "actors/model/served_model.hpp"
#include "actors/node/node_supervisor.hpp"

namespace troupe {

/// The REST gateway as a child of the node's supervisor, under local_services::rest_gateway.
/// REQUIRES: config.http
child_spec make_frontend_child(caf::actor_system&, const node_config& config, const served_model&);

} // namespace troupe
