// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace troupe {

/// Registers every message type of a node with CAF: the wire's and the local ones. Call it before the first
/// actor system is made; further calls do nothing. Thread-safe.
void init_actor_types();

} // namespace troupe
