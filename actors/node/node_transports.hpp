// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "actors/config/node_config.hpp"
#include "transport/transport.hpp"

namespace troupe {

/// Makes the back end of each life of a node's transport endpoint: within the process by copies; with `cluster`, also
/// into other processes of the machine by shared memory, and to any node by TCP, in this order of preference.
std::function<expected<std::unique_ptr<transport::backend>, transport::error>()> transports_of(const node_config&);

} // namespace troupe
