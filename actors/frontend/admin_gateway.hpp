// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include <caf/typed_event_based_actor.hpp>

#include "actors/frontend/admin_api.hpp"
#include "actors/frontend/frontend_types.hpp"
#include "actors/frontend/http/http_server.hpp"
#include "messages/interfaces.hpp"

namespace troupe {

/// The door for whoever operates a node.
using admin_gateway_actor = caf::typed_actor<
  // The node drains: /health says so from now on. Responds at once; it goes on answering until the node ends.
  auto(drain_request)->caf::result<void>, auto(health_question)->caf::result<void>>;

struct admin_gateway_config {
  http_server_config http;
  /// Told the port once it listens. Runs on the actor.
  std::function<void(std::uint16_t port)> on_listening;
  /// Asks the node to drain. Runs on the I/O thread, once for each request.
  std::function<void()> on_drain;
  /// The directory must answer within this time, or the node is not healthy.
  std::chrono::milliseconds health_time{1'000};
};

/// Owns an HTTP server with its I/O thread. Ends with errc::resource or invalid_config if it cannot listen. Its mailbox
/// is bounded by the questions that its API lets in.
class admin_gateway_state {
public:
  static constexpr const char* name = "troupe.admin-gateway";

  admin_gateway_state(admin_gateway_actor::pointer self, admin_gateway_config config);
  ~admin_gateway_state();
  admin_gateway_actor::behavior_type make_behavior();

private:
  expected<void, error> start();
  void post(std::function<void(node_status&)> work);

  admin_gateway_actor::pointer self_;
  admin_gateway_config config_;
  std::unique_ptr<http_server> server_;
  std::shared_ptr<admin_api> api_;
};

admin_gateway_actor spawn_admin_gateway(caf::actor_system&, admin_gateway_config);

} // namespace troupe
