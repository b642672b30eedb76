// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <caf/io/middleman_actor.hpp>

namespace troupe {

/// CAF's connections without TLS, with what it lacks against strangers:
/// - who connects and is not a node, or says nothing for stranger_patience, is shut out, with a line in the log;
/// - no message is longer than plain_message_bytes_max. CAF reserves whatever length is announced, up to 4 GiB.
/// Has a thread of its own, because connecting blocks.
caf::io::middleman_actor spawn_plain_plane(caf::actor_system&);

/// Far above the longest message of ours, a request with the tokens of a whole context.
inline constexpr std::size_t plain_message_bytes_max = std::size_t{64} << 20;

} // namespace troupe
