// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace troupe {

/// What CAF leaves out when it makes TLS connections, for every one of the process from now on:
/// - a handshake that fails is a line in the log, on the side that refuses and on the side that is refused
///   (log_stranger);
/// - who connects and does not greet is one of the strangers;
/// - the failure of one connection is not taken for that of another.
/// Calls after the first do nothing.
void watch_tls_connections();

} // namespace troupe
