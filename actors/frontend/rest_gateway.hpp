// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include "actors/frontend/frontend_types.hpp"
#include "actors/frontend/http/http_server.hpp"
#include "actors/frontend/rest_api.hpp"
#include "actors/frontend/stream_hub.hpp"
#include "messages/interfaces.hpp"

namespace troupe {

/// The frontend of a node.
using rest_gateway_actor =
  caf::typed_actor<auto(find_address)->caf::result<rest_address>,
                   // Stops admission at once; responds when the last answer is complete, or when the time is up and
                   // what was left has been ended with an error.
                   auto(drain_request)->caf::result<void>, auto(open_request)->caf::result<void>,
                   auto(close_choices)->caf::result<void>, auto(health_question)->caf::result<void>,
                   auto(streams_drained)->caf::result<void>>::extend_with<fleet_sink_actor>;

struct rest_gateway_config {
  http_server_config http;
  rest_api_config api;
  /// Makes the session of one choice.
  std::function<request_session_actor(inference_request, stream_hub_actor)> session_factory;
  /// Told the port once the gateway listens on it; may be empty. Runs on the gateway.
  std::function<void(std::uint16_t port)> on_listening;
  /// The directory must answer within this time, or the node is not healthy.
  std::chrono::milliseconds health_time{1'000};
  /// How often it looks whether the directory was restarted.
  std::chrono::milliseconds tick_interval{100};
};

/// Owns the HTTP server with its I/O thread, the text thread, and the hub, which ends with it. Follows the fleet, and
/// tells the I/O thread which models it serves. Ends with
/// errc::resource or invalid_config if it cannot listen, and with the hub's reason if that dies; what is
/// open then gets an error event. Its mailbox is bounded by the admission of the API.
class rest_gateway_state {
public:
  static constexpr const char* name = "troupe.rest-gateway";

  rest_gateway_state(rest_gateway_actor::pointer self, rest_gateway_config config);
  ~rest_gateway_state();
  rest_gateway_actor::behavior_type make_behavior();

private:
  expected<void, error> start();
  rest_api::callbacks api_callbacks();
  std::function<void()> tell_when_flushed();
  void open(open_request&);
  caf::result<void> drain(const drain_request&);
  void ask_health(health_question);
  void answer_health(std::uint64_t id, const node_health&);
  void on_drained();
  void tick();
  void follow(const fleet_snapshot&);

  rest_gateway_actor::pointer self_;
  rest_gateway_config config_;
  std::unique_ptr<http_server> server_;
  std::shared_ptr<rest_api> api_;
  frontend_hub_actor hub_;
  /// Who waits for the drain.
  std::vector<caf::typed_response_promise<void>> drains_;
  bool drained_ = false;
  /// The directory that this gateway follows.
  caf::actor_addr directory_;
  live_models live_;
};

rest_gateway_actor spawn_rest_gateway(caf::actor_system&, rest_gateway_config);

} // namespace troupe
