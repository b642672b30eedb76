// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "messages/descriptor.hpp"
#include "transport/transport.hpp"

// Sockets of one machine and user, named after the peers that listen there. None ever blocks.
namespace troupe::transport {

/// Listens under the name of `self`. errc::invalid_argument if somebody listens there already, else errc::resource.
expected<descriptor, error> listen_as(peer_id self);

/// Connects to where `owner` listens. errc::peer_gone if nobody does, or another user; errc::no_credit if too many wait
/// there to be accepted: try again later; errc::resource.
expected<descriptor, error> connect_to(peer_id owner);

/// The process at the other end runs as the same user.
bool is_of_same_user(const descriptor& connected);

} // namespace troupe::transport
