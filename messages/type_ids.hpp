// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/is_error_code_enum.hpp>
#include <caf/type_id.hpp>

#include "messages/control/fleet.hpp"
#include "messages/control/load_report.hpp"
#include "messages/control/node_health.hpp"
#include "messages/control/node_hello.hpp"
#include "messages/control/queries.hpp"
#include "messages/control/routed.hpp"
#include "messages/errc.hpp"
#include "messages/interfaces_fwd.hpp"
#include "messages/kv/transfer.hpp"
#include "messages/request/generate_request.hpp"
#include "messages/request/token_batch.hpp"

// CAF numbers types by their position in this block: append, never reorder, never delete. A change of
// a type's layout, or of this order, bumps wire_version.
CAF_BEGIN_TYPE_ID_BLOCK(troupe, first_custom_type_id)

CAF_ADD_TYPE_ID(troupe, (troupe::errc))

// requests
CAF_ADD_TYPE_ID(troupe, (troupe::inference_request))
CAF_ADD_TYPE_ID(troupe, (troupe::generate_request))
CAF_ADD_TYPE_ID(troupe, (troupe::generation_failed))
CAF_ADD_TYPE_ID(troupe, (troupe::cancel_request))
CAF_ADD_TYPE_ID(troupe, (troupe::token_batch))
CAF_ADD_TYPE_ID(troupe, (troupe::find_stream_progress))
CAF_ADD_TYPE_ID(troupe, (troupe::stream_progress))

// placement and fleet
CAF_ADD_TYPE_ID(troupe, (troupe::demand))
CAF_ADD_TYPE_ID(troupe, (troupe::routed))
CAF_ADD_TYPE_ID(troupe, (troupe::release_placement))
CAF_ADD_TYPE_ID(troupe, (troupe::fleet_member))
CAF_ADD_TYPE_ID(troupe, (troupe::fleet_snapshot))
CAF_ADD_TYPE_ID(troupe, (troupe::find_load))
CAF_ADD_TYPE_ID(troupe, (troupe::load_report))
CAF_ADD_TYPE_ID(troupe, (troupe::find_health))
CAF_ADD_TYPE_ID(troupe, (troupe::node_health))
CAF_ADD_TYPE_ID(troupe, (troupe::drain_request))

// KV transfer
CAF_ADD_TYPE_ID(troupe, (troupe::prefill_request))
CAF_ADD_TYPE_ID(troupe, (troupe::prefill_completed))
CAF_ADD_TYPE_ID(troupe, (troupe::register_region))
CAF_ADD_TYPE_ID(troupe, (troupe::region_id))
CAF_ADD_TYPE_ID(troupe, (troupe::describe_region))
CAF_ADD_TYPE_ID(troupe, (troupe::push_blocks))
CAF_ADD_TYPE_ID(troupe, (troupe::blocks_pushed))
CAF_ADD_TYPE_ID(troupe, (troupe::fence_writer))
CAF_ADD_TYPE_ID(troupe, (troupe::kv_blocks_arrived))

// handles that travel in messages
CAF_ADD_TYPE_ID(troupe, (troupe::stream_hub_actor))
CAF_ADD_TYPE_ID(troupe, (troupe::request_session_actor))
CAF_ADD_TYPE_ID(troupe, (troupe::fleet_sink_actor))
CAF_ADD_TYPE_ID(troupe, (troupe::kv_sink_actor))
CAF_ADD_TYPE_ID(troupe, (troupe::transport_endpoint_actor))
CAF_ADD_TYPE_ID(troupe, (troupe::node_gate_actor))
CAF_ADD_TYPE_ID(troupe, (troupe::share_sink_actor))

// nodes
CAF_ADD_TYPE_ID(troupe, (troupe::node_hello))
CAF_ADD_TYPE_ID(troupe, (troupe::fleet_share))
CAF_ADD_TYPE_ID(troupe, (troupe::node_left))

// KV transfer, continued
CAF_ADD_TYPE_ID(troupe, (troupe::region_registered))
CAF_ADD_TYPE_ID(troupe, (troupe::abandon_landing))

CAF_END_TYPE_ID_BLOCK(troupe)

// Local only: these carry pointers, or belong to one process.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::register_region)

CAF_ERROR_CODE_ENUM(troupe::errc)
