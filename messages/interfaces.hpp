// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "messages/interfaces_fwd.hpp"
#include "messages/type_ids.hpp"

// Every actor interface of Troupe on one page; stream_hub_actor, request_session_actor,
// transport_endpoint_actor, node_gate_actor and the three sinks, whose handles travel in messages, are in
// interfaces_fwd.hpp. A device's interface carries executor types and is local to its process:
// actors/worker/device_interface.hpp.
namespace troupe {

/// What every worker answers.
using worker_actor =
  caf::typed_actor<auto(cancel_request)->caf::result<void>, auto(find_load)->caf::result<load_report>,
                   // Stops admission at once; responds when the last sequence has ended.
                   auto(drain_request)->caf::result<void>,
                   // After its endpoint was restarted.
                   auto(transport_endpoint_actor)->caf::result<void>>;

/// Decodes, and prefills what no prefill peer does.
using decode_worker_actor = worker_actor::extend<
  // Accepted, or refused with errc::overloaded, stale, draining, context_too_long. Tokens go to the hub,
  // the end to the session; the session's death cancels the request.
  auto(generate_request, stream_hub_actor, request_session_actor)
    ->caf::result<void>>::extend_with<fleet_sink_actor>::extend_with<kv_sink_actor>;

/// Computes prompts and pushes their blocks into the landing of a decode worker.
using prefill_worker_actor = worker_actor::extend<
  // The response is the completion record. An error breaks the landing.
  auto(prefill_request)->caf::result<prefill_completed>,
  auto(abandon_landing)->caf::result<void>>::extend_with<kv_sink_actor>;

/// Who serves what, in which epoch. Knows of a worker until it ends or is replaced.
using directory_actor = caf::typed_actor<
  // A worker introduces itself, or itself in a new epoch.
  auto(fleet_member)->caf::result<void>,
  // Follows the fleet from now on; the first snapshot comes at once.
  auto(fleet_sink_actor)->caf::result<void>, auto(load_report)->caf::result<void>,
  auto(find_health)->caf::result<node_health>,
  // Takes what this node offers from now on, several times a second.
  auto(share_sink_actor)->caf::result<void>,
  // What another node offers, and that it is gone.
  auto(fleet_share)->caf::result<void>, auto(node_left)->caf::result<void>>;

/// Placement of requests on workers.
using router_actor = caf::typed_actor<
  // From the request's session, which is told (generation_failed) if the decode worker hangs later. errc::unavailable
  // or overloaded if nobody can take it.
  auto(demand)->caf::result<routed>, auto(release_placement)->caf::result<void>>::extend_with<fleet_sink_actor>;

} // namespace troupe
