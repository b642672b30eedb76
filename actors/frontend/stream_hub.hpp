// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include <caf/telemetry/counter.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/frontend/frontend_types.hpp"
#include "actors/frontend/http/io_lane.hpp"

namespace troupe {

/// The hub as the frontend knows it.
using frontend_hub_actor =
  stream_hub_actor::extend<auto(open_choice)->caf::result<void>, auto(bind_session)->caf::result<void>,
                           auto(close_choices)->caf::result<void>>;

struct stream_hub_config {
  /// The way to the I/O thread that owns the streams.
  std::shared_ptr<io_lane> lane;
  /// Called on that thread.
  std::function<void(const std::vector<stream_tokens>&)> deliver;
  std::function<void(request_id, const error&)> fail;
};

struct stream_hub_metrics {
  caf::telemetry::int_counter* duplicates = nullptr;
  caf::telemetry::int_counter* late = nullptr;
  caf::telemetry::int_counter* unknown = nullptr;
  caf::telemetry::int_counter* batches = nullptr;
};

/// Keeps, for every open choice, the tokens that its client has or will have: the truth that a continuation
/// replays. Workers send it batches, the gateway opens choices, the I/O thread closes them, sessions fail
/// them. Ends when the gateway does.
///
///   open_choice → bind_session → tokens … → last token: the session is told to end
///                              ↘ close_choices: the session is told to end
///                              ↘ generation_failed, or the session died: the stream is failed
///
/// Holds one entry per open choice, so the gateway's admission bounds it.
class stream_hub_state {
public:
  static constexpr const char* name = "troupe.stream-hub";

  stream_hub_state(frontend_hub_actor::pointer self, stream_hub_config config);
  frontend_hub_actor::behavior_type make_behavior();

private:
  struct choice {
    std::vector<token_id> emitted;
    /// The placement whose tokens are taken.
    std::uint32_t attempt = 1;
    request_session_actor session;
    /// Over before its session was known, which is told once it is.
    bool over = false;
  };

  void take(token_batch& batch);
  /// False: nothing of it is new. Otherwise `tokens` is cut to what is.
  bool take(stream_tokens& tokens);
  void fail(request_id, const error&);
  stream_progress progress(const find_stream_progress&);
  void bind(const bind_session&);
  void conclude(request_id);
  void on_session_down(const caf::down_msg&);

  frontend_hub_actor::pointer self_;
  stream_hub_config config_;
  stream_hub_metrics metrics_;
  std::unordered_map<request_id, choice> choices_;
  /// Sessions that are monitored, by actor id.
  std::unordered_map<caf::actor_id, request_id> sessions_;
};

using stream_hub_impl = frontend_hub_actor::stateful_impl<stream_hub_state>;

} // namespace troupe
