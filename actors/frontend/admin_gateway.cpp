// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/admin_gateway.hpp"

#include <utility>

#include <caf/actor_system.hpp>
#include <caf/send.hpp>

#include "actors/frontend/directory_health.hpp"
#include "actors/frontend/metrics_text.hpp"
#include "actors/log/log.hpp"
#include "actors/log/unhandled_exception.hpp"
#include "actors/security/strangers.hpp"
#include "messages/caf_error.hpp"

namespace troupe {

admin_gateway_state::admin_gateway_state(admin_gateway_actor::pointer self, admin_gateway_config config)
  : self_(self), config_(std::move(config)) {}

admin_gateway_state::~admin_gateway_state() {
  if (server_)
    server_->stop();
}

admin_gateway_actor::behavior_type admin_gateway_state::make_behavior() {
  log_unhandled_exceptions(self_);
  if (auto started = start(); !started) {
    log_error("admin", "cannot start", {{"why", started.error().context}});
    self_->quit(to_caf_error(started.error()));
  }
  return {
    [this](const drain_request&) { post([](node_status& status) { status.drain(); }); },
    [this](const health_question& question) {
      ask_directory_health(self_, config_.health_time, [this, id = question.id](const node_health& health) {
        post([id, health](node_status& status) { status.answer_health(id, health); });
      });
    },
  };
}

expected<void, error> admin_gateway_state::start() {
  auto server = http_server::listen(config_.http);
  if (!server)
    return unexpected{server.error()};
  server_ = std::move(*server);
  config_.on_listening(server_->port());
  admin_api::callbacks calls;
  // The address keeps nobody alive: the actor owns the thread that calls this.
  calls.status.on_health = [me = caf::actor_cast<caf::actor_addr>(self_)](std::uint64_t question) {
    if (auto alive = caf::actor_cast<admin_gateway_actor>(me))
      caf::anon_send(alive, health_question{question});
  };
  calls.status.metrics_text = [&registry = self_->system().metrics()] { return metrics_text(registry); };
  calls.on_drain = config_.on_drain;
  api_ = std::make_shared<admin_api>(std::move(calls));
  server_->run({
    [api = api_](std::shared_ptr<http_exchange> exchange) { api->handle(std::move(exchange)); },
    [](std::string_view, std::uint16_t) {},
    [api = api_] { api->status().stop({errc::draining, "the node ended"}); },
    [](int fd, std::string_view why) { log_stranger("admin", "a connection was refused", address_behind(fd), why); },
  });
  return {};
}

void admin_gateway_state::post(std::function<void(node_status&)> work) {
  server_->lane()->post([api = api_, work = std::move(work)] { work(api->status()); });
}

admin_gateway_actor spawn_admin_gateway(caf::actor_system& system, admin_gateway_config config) {
  return system.spawn<admin_gateway_actor::stateful_impl<admin_gateway_state>>(std::move(config));
}

} // namespace troupe
