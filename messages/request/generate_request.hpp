// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "messages/control/placement.hpp"
#include "messages/errc.hpp"
#include "messages/ids.hpp"
#include "messages/request/inference_request.hpp"

namespace troupe {

/// A session hands a request to its decode worker. The response is the acceptance; a refusal is an
/// error. Tokens then go to the stream hub, the end to the session.
struct generate_request {
  inference_request request;
  /// Output tokens that an earlier worker produced and the client may have: not generated again.
  std::vector<token_id> emitted;
  placement where;
  /// The life of the worker that the router placed it on.
  epoch worker_epoch;
  /// Which placement of the request this is, from 1; its tokens say so, too.
  std::uint32_t attempt = 0;
  /// As in usage.
  bool mixed_workers = false;

  friend bool operator==(const generate_request&, const generate_request&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, generate_request& x) {
  return f.object(x).fields(f.field("request", x.request), f.field("emitted", x.emitted), f.field("where", x.where),
                            f.field("worker_epoch", x.worker_epoch), f.field("attempt", x.attempt),
                            f.field("mixed_workers", x.mixed_workers));
}

/// A worker tells a session that it stopped short. The session may continue it elsewhere.
struct generation_failed {
  request_id request;
  /// generate_request's: one of a worker that was left already counts for nothing.
  std::uint32_t attempt = 0;
  errc code = errc::none;
  std::string context;

  friend bool operator==(const generation_failed&, const generation_failed&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, generation_failed& x) {
  return f.object(x).fields(f.field("request", x.request), f.field("attempt", x.attempt), f.field("code", x.code),
                            f.field("context", x.context));
}

/// Stop and forget a request; sent down the chain hub, session, worker. A hub also sends it when a stream has ended
/// by itself, so that its session ends.
struct cancel_request {
  request_id request;

  friend bool operator==(const cancel_request&, const cancel_request&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, cancel_request& x) {
  return f.object(x).fields(f.field("request", x.request));
}

} // namespace troupe
