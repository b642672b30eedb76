// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <caf/type_id.hpp>

#include "messages/request/inference_request.hpp"
#include "messages/type_ids.hpp"

// What the parts of the frontend say to each other. Never leaves the process.
namespace troupe {

/// A client's request was accepted; one element per choice. I/O thread to gateway.
struct open_request {
  std::vector<inference_request> choices;
};
template <class Inspector>
bool inspect(Inspector& f, open_request& x) {
  return f.object(x).fields(f.field("choices", x.choices));
}

/// Tokens of this choice will come. Gateway to hub, before its session exists.
struct open_choice {
  request_id request;
};
template <class Inspector>
bool inspect(Inspector& f, open_choice& x) {
  return f.object(x).fields(f.field("request", x.request));
}

/// Who is to be told if the choice is not wanted any more. Gateway to hub.
struct bind_session {
  request_id request;
  request_session_actor session;
};
template <class Inspector>
bool inspect(Inspector& f, bind_session& x) {
  return f.object(x).fields(f.field("request", x.request), f.field("session", x.session));
}

/// Nobody waits for these choices any more. I/O thread to gateway to hub.
struct close_choices {
  std::vector<request_id> requests;
};
template <class Inspector>
bool inspect(Inspector& f, close_choices& x) {
  return f.object(x).fields(f.field("requests", x.requests));
}

/// Somebody asked for /health. I/O thread to gateway.
struct health_question {
  std::uint64_t id = 0;
};
template <class Inspector>
bool inspect(Inspector& f, health_question& x) {
  return f.object(x).fields(f.field("id", x.id));
}

/// The last stream ended after a drain had begun. I/O thread to gateway.
struct streams_drained {};
template <class Inspector>
bool inspect(Inspector& f, streams_drained& x) {
  return f.object(x).fields();
}

/// Asks the gateway where it listens.
struct find_address {};
template <class Inspector>
bool inspect(Inspector& f, find_address& x) {
  return f.object(x).fields();
}

struct rest_address {
  std::string host;
  std::uint16_t port = 0;
};
template <class Inspector>
bool inspect(Inspector& f, rest_address& x) {
  return f.object(x).fields(f.field("host", x.host), f.field("port", x.port));
}

} // namespace troupe

// Types that never leave their process get ids of their own, far from the wire block's, which grows.
CAF_BEGIN_TYPE_ID_BLOCK(troupe_frontend, first_custom_type_id + 1200)

CAF_ADD_TYPE_ID(troupe_frontend, (troupe::open_request))
CAF_ADD_TYPE_ID(troupe_frontend, (troupe::open_choice))
CAF_ADD_TYPE_ID(troupe_frontend, (troupe::bind_session))
CAF_ADD_TYPE_ID(troupe_frontend, (troupe::close_choices))
CAF_ADD_TYPE_ID(troupe_frontend, (troupe::health_question))
CAF_ADD_TYPE_ID(troupe_frontend, (troupe::streams_drained))
CAF_ADD_TYPE_ID(troupe_frontend, (troupe::find_address))
CAF_ADD_TYPE_ID(troupe_frontend, (troupe::rest_address))

CAF_END_TYPE_ID_BLOCK(troupe_frontend)
