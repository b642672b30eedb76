// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include <caf/disposable.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "messages/interfaces.hpp"

namespace troupe {

// request_session: one choice of one client request, from placement to its end.
//
// The gateway spawns it when the stream is open, the hub monitors it. It asks the router, hands the request
// to the decode worker, and watches that worker: if the worker dies, hangs or refuses, it asks the hub
// which tokens the client has and continues elsewhere from there. Control only: no token passes here.
//
//   placing ──▶ handing over ──▶ generating ──▶ ended
//      ▲             │                │
//      └── backing off ◀──────────────┘
//
// Ends when the hub says that the stream has ended, or after an error that it reports to the hub: a
// worker that dies between its last token and the hub's receipt is thus still seen. Bounds: attempts_max placements,
// and the request's deadline.

struct request_session_config {
  /// Placements of one request, the first one included.
  std::uint32_t attempts_max = 8;
  /// Wait before the second placement; doubles with each further one.
  std::chrono::milliseconds backoff_first{50};
  std::chrono::milliseconds backoff_max{2000};
  /// How long the router and the hub may take to answer, and the worker to accept.
  std::chrono::milliseconds peer_time_max{5000};
};

class request_session_state {
public:
  static inline const char* name = "troupe.request-session";

  request_session_state(request_session_actor::pointer self, inference_request request, stream_hub_actor hub,
                        request_session_config config);
  ~request_session_state();

  request_session_actor::behavior_type make_behavior();

private:
  void place();
  void hand_over(const routed&);
  void try_again(const error& why);
  void learn_progress();
  void fail(const error& why);
  void end();
  void leave_worker();
  std::chrono::nanoseconds time_left() const;
  std::chrono::nanoseconds patience() const;

  request_session_actor::pointer self_;
  inference_request request_;
  stream_hub_actor hub_;
  request_session_config config_;
  std::chrono::steady_clock::time_point deadline_;
  std::chrono::steady_clock::time_point queue_deadline_;
  std::uint32_t attempts_ = 0;
  /// The worker that has the request, or was asked to take it.
  decode_worker_actor worker_;
  std::optional<worker_id> worker_id_;
  /// Of the workers that had it: that of the first, as long as the client has tokens of it.
  std::optional<model_fingerprint> fingerprint_;
  /// One of another went on with its tokens.
  bool mixed_workers_ = false;
  /// What the client has, for a continuation.
  std::vector<token_id> emitted_;
  bool ended_ = false;
  /// The clock keeps the actor's memory until this is due or disposed.
  caf::disposable deadline_timer_;
};

request_session_actor spawn_request_session(caf::actor_system&, inference_request, stream_hub_actor,
                                            request_session_config);

} // namespace troupe
