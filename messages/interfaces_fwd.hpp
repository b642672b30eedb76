// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <caf/typed_actor.hpp>

#include "messages/control/fleet.hpp"
#include "messages/control/queries.hpp"
#include "messages/kv/transfer.hpp"
#include "messages/request/generate_request.hpp"
#include "messages/request/token_batch.hpp"

// The interfaces whose handles travel inside messages, so that the type-id block can name them. The
// others are in interfaces.hpp, which is the page to read.
namespace troupe {

/// The open streams of one I/O thread.
using stream_hub_actor = caf::typed_actor<
  // New tokens. The response acknowledges that they were handed to the streams; tokens of streams that
  // are gone, and tokens that a stream has already, are dropped.
  auto(token_batch)->caf::result<void>,
  // The session gave up: the stream ends with an error event.
  auto(generation_failed)->caf::result<void>,
  // What a stream has got so far, for a continuation.
  auto(find_stream_progress)->caf::result<stream_progress>>;

/// One choice of one request: its placement, deadline, retries and continuation.
using request_session_actor = caf::typed_actor<
  // From the worker: it stopped short; or from the router: the worker hangs. The session continues elsewhere or fails
  // the stream.
  auto(generation_failed)->caf::result<void>,
  // From the hub: the stream has ended (by its last token, a stop string, or because the client is gone).
  auto(cancel_request)->caf::result<void>>;

struct node_hello;

/// The door of a node for other nodes.
using node_gate_actor = caf::typed_actor<
  // A node presents itself; the response is who answers. Refused with errc::invalid_argument if it belongs to another
  // cluster, speaks another wire version or has the name of another node; stale if that name has been started again
  // since; unavailable if the connection has no way back.
  auto(node_hello)->caf::result<node_hello>,
  // What the other node offers.
  auto(fleet_share)->caf::result<void>>;

/// Whoever takes what this node offers to others.
using share_sink_actor = caf::typed_actor<auto(fleet_share)->caf::result<void>>;

/// Whoever follows the fleet.
using fleet_sink_actor = caf::typed_actor<auto(fleet_snapshot)->caf::result<void>>;

/// The owner of a region into which blocks are pushed.
using kv_sink_actor = caf::typed_actor<auto(kv_blocks_arrived)->caf::result<void>>;

/// Registered memory, connections and completions of one node.
using transport_endpoint_actor = caf::typed_actor<
  // Registers memory; arrivals in it are reported to the sink. Ends when the sink does.
  auto(register_region, kv_sink_actor)->caf::result<region_registered>, auto(describe_region)->caf::result<std::string>,
  auto(push_blocks)->caf::result<blocks_pushed>,
  // Withdraws what was described to the writing endpoint, which may be this one; responds when nothing that it posted
  // earlier can still land here.
  auto(fence_writer)->caf::result<void>>;

} // namespace troupe
