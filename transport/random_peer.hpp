// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/transport.hpp"

namespace troupe::transport {

/// The id of a new endpoint, from the system's generator; errc::resource if that fails.
expected<peer_id, error> random_peer_id();

} // namespace troupe::transport
