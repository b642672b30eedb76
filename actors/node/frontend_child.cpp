// SPDX-License-Identifier: Apache-2.0
#include "actors/node/frontend_child.hpp"

#include <atomic>
#include <memory>
#include <utility>

#include "actors/frontend/admin_gateway.hpp"
#include "actors/frontend/request_session.hpp"
#include "actors/node/local_services.hpp"

namespace troupe {

namespace {

http_server_config http_of(const node_config& config) {
  auto& limits = config.limits;
  http_server_config result;
  result.host = config.http->listen.host;
  result.port = config.http->listen.port;
  result.connections_max = limits.connections;
  result.header_bytes_max = static_cast<std::uint32_t>(limits.headers_bytes);
  result.header_count_max = limits.header_count;
  result.body_bytes_max = limits.body_bytes;
  result.header_time = std::chrono::duration_cast<std::chrono::milliseconds>(limits.header_timeout);
  return result;
}

http_server_config http_of(const admin_section& admin) {
  http_server_config result;
  result.host = admin.listen.host;
  result.port = admin.listen.port;
  result.connections_max = 64;
  result.body_bytes_max = kib(4);
  return result;
}

rest_api_config api_of(const node_config& config, std::vector<served_model> models) {
  auto& limits = config.limits;
  rest_api_config result;
  result.models = std::move(models);
  result.limits.json_depth = limits.json_depth;
  result.limits.choices_max = limits.n_max;
  result.limits.stops_max = limits.stop_count;
  result.limits.stop_bytes_max = static_cast<std::uint32_t>(limits.stop_bytes);
  result.request_time = limits.request_timeout;
  result.queue_time = limits.queue_timeout;
  return result;
}

} // namespace

rest_gateway_config make_gateway_config(caf::actor_system& system, const node_config& config,
                                        std::vector<served_model> models) {
  request_session_config session;
  session.attempts_max = config.limits.retries_max + 1;
  rest_gateway_config gateway;
  gateway.http = http_of(config);
  gateway.api = api_of(config, std::move(models));
  gateway.session_factory = [&system, session](inference_request request, stream_hub_actor hub) {
    return spawn_request_session(system, std::move(request), std::move(hub), session);
  };
  return gateway;
}

child_spec make_frontend_child(caf::actor_system& system, rest_gateway_config gateway) {
  auto port = std::make_shared<std::atomic<std::uint16_t>>(gateway.http.port);
  gateway.on_listening = [port](std::uint16_t got) { *port = got; };
  child_spec spec;
  spec.name = local_services::rest_gateway;
  spec.drain = child_spec::drain_rank::gateway;
  spec.start = [&system, gateway, port] {
    auto next = gateway;
    next.http.port = *port;
    return caf::actor_cast<caf::strong_actor_ptr>(spawn_rest_gateway(system, std::move(next)));
  };
  return spec;
}

child_spec make_admin_child(caf::actor_system& system, const node_config& config, std::function<void()> on_drain,
                            std::atomic<std::uint16_t>& port) {
  admin_gateway_config admin;
  admin.http = http_of(*config.admin);
  admin.on_drain = std::move(on_drain);
  admin.on_listening = [&port](std::uint16_t got) { port = got; };
  child_spec spec;
  spec.name = local_services::admin_gateway;
  spec.drain = child_spec::drain_rank::gateway;
  spec.start = [&system, admin, &port] {
    auto next = admin;
    if (port != 0)
      next.http.port = port;
    return caf::actor_cast<caf::strong_actor_ptr>(spawn_admin_gateway(system, std::move(next)));
  };
  return spec;
}

} // namespace troupe
