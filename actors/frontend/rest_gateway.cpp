// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/rest_gateway.hpp"

#include <caf/actor_system.hpp>
#include <caf/send.hpp>

#include "actors/frontend/directory_health.hpp"
#include "actors/frontend/metrics_text.hpp"
#include "actors/log/log.hpp"
#include "actors/log/unhandled_exception.hpp"
#include "actors/security/strangers.hpp"
#include "messages/caf_error.hpp"

namespace troupe {

namespace {

/// How long the error events of streams that ended at a drain's limit may take to leave; less than the second that the
/// supervisor waits beyond it.
constexpr std::chrono::milliseconds last_words_max{500};

} // namespace

rest_gateway_state::rest_gateway_state(rest_gateway_actor::pointer self, rest_gateway_config config)
  : self_(self), config_(std::move(config)) {}

rest_gateway_state::~rest_gateway_state() {
  if (hub_)
    caf::anon_send_exit(hub_, caf::exit_reason::user_shutdown);
  if (api_)
    api_->stop_text_thread();
  if (server_)
    server_->stop();
}

rest_gateway_actor::behavior_type rest_gateway_state::make_behavior() {
  log_unhandled_exceptions(self_);
  if (auto started = start(); !started) {
    log_error("gateway", "cannot start", {{"why", started.error().context}});
    self_->quit(to_caf_error(started.error()));
  } else {
    tick();
  }
  return {
    [this](const find_address&) {
      return rest_address{config_.http.host, server_ ? server_->port() : std::uint16_t{0}};
    },
    [this](const drain_request& request) { return drain(request); },
    [this](open_request& request) { open(request); },
    [this](close_choices& choices) { self_->send(hub_, std::move(choices)); },
    [this](const health_question& question) { ask_health(question); },
    [this](const streams_drained&) { on_drained(); },
    [this](const fleet_snapshot& fleet) { follow(fleet); },
  };
}

expected<void, error> rest_gateway_state::start() {
  auto server = http_server::listen(config_.http);
  if (!server)
    return unexpected{server.error()};
  server_ = std::move(*server);
  if (config_.on_listening)
    config_.on_listening(server_->port());
  const auto metrics = make_frontend_metrics(self_->system().metrics());
  stream_hub_config hub;
  hub.lane = server_->lane();
  // The hub outlives the I/O thread by a moment, hence the weak pointers.
  auto weak = std::make_shared<std::weak_ptr<rest_api>>();
  hub.deliver = [weak](const std::vector<stream_tokens>& batch) {
    if (auto api = weak->lock())
      api->streams().deliver(batch);
  };
  hub.fail = [weak](request_id id, const error& e) {
    if (auto api = weak->lock())
      api->streams().fail(id, e);
  };
  hub_ = self_->spawn<stream_hub_impl>(std::move(hub));
  self_->monitor(hub_);
  self_->set_down_handler([this](const caf::down_msg& down) {
    log_error("gateway", "the stream hub ended", {{"why", caf::to_string(down.reason)}});
    self_->quit(down.reason ? down.reason : to_caf_error({errc::internal, "the stream hub ended"}));
  });
  api_ = std::make_shared<rest_api>(std::move(config_.api), server_->lane(), metrics, api_callbacks());
  *weak = api_;
  server_->run({
    [api = api_](std::shared_ptr<http_exchange> exchange) { api->handle(std::move(exchange)); },
    [api = api_](std::string_view path, std::uint16_t status) { api->observe_answer(path, status); },
    [api = api_] { api->stop({errc::draining, "the gateway ended"}); },
    [](int fd, std::string_view why) { log_stranger("gateway", "a connection was refused", address_behind(fd), why); },
  });
  return {};
}

/// Called on the I/O thread, which never waits for an actor.
rest_api::callbacks rest_gateway_state::api_callbacks() {
  // The address keeps nobody alive: the gateway owns the thread that calls these.
  auto send_gateway = [gateway = caf::actor_cast<caf::actor_addr>(self_)](auto message) {
    if (auto alive = caf::actor_cast<rest_gateway_actor>(gateway))
      caf::anon_send(alive, std::move(message));
  };
  rest_api::callbacks out;
  out.on_open = [send_gateway](std::vector<inference_request> choices) {
    send_gateway(open_request{std::move(choices)});
  };
  // The same way as on_open, so that it cannot overtake it.
  out.on_unwanted = [send_gateway](std::vector<request_id> requests) {
    send_gateway(close_choices{std::move(requests)});
  };
  out.status.on_health = [send_gateway](std::uint64_t question) { send_gateway(health_question{question}); };
  out.on_drained = tell_when_flushed();
  out.status.metrics_text = [&registry = self_->system().metrics()] { return metrics_text(registry); };
  return out;
}

/// Says that all is drained when the last answers have left, and not only are written. For the I/O thread.
std::function<void()> rest_gateway_state::tell_when_flushed() {
  return [gateway = caf::actor_cast<caf::actor_addr>(self_), server = server_.get()] {
    server->await_flushed([gateway] {
      if (auto alive = caf::actor_cast<rest_gateway_actor>(gateway))
        caf::anon_send(alive, streams_drained{});
    });
  };
}

void rest_gateway_state::open(open_request& request) {
  for (auto& choice : request.choices) {
    const auto id = choice.id;
    self_->send(hub_, open_choice{id}); // before the session exists, so that the hub knows its tokens
    self_->send(hub_, bind_session{id, config_.session_factory(std::move(choice), hub_)});
  }
}

caf::result<void> rest_gateway_state::drain(const drain_request& request) {
  auto promise = self_->make_response_promise<void>();
  if (drained_ || !server_) {
    promise.deliver();
    return promise;
  }
  if (drains_.empty())
    server_->lane()->post([server = server_.get(), api = api_] {
      server->stop_accepting();
      api->drain();
    });
  drains_.push_back(promise);
  self_->run_delayed(request.time_left, [this] {
    if (drained_)
      return;
    server_->lane()->post([api = api_, tell = tell_when_flushed()] {
      api->stop({errc::draining, "the node ended before the answer did"});
      tell();
    });
    self_->run_delayed(last_words_max, [this] { on_drained(); });
  });
  return promise;
}

void rest_gateway_state::on_drained() {
  drained_ = true;
  for (auto& promise : drains_)
    promise.deliver();
  drains_.clear();
}

void rest_gateway_state::tick() {
  auto directory = local_services::find<directory_actor>(self_->system(), local_services::directory);
  if (directory && directory.address() != directory_) {
    directory_ = directory.address();
    self_->send(directory, caf::actor_cast<fleet_sink_actor>(self_));
  }
  self_->run_delayed(config_.tick_interval, [this] { tick(); });
}

void rest_gateway_state::follow(const fleet_snapshot& fleet) {
  auto now = live_models_of(fleet);
  if (now == live_ || !server_)
    return;
  live_ = now;
  server_->lane()->post([api = api_, now = std::move(now)] { api->follow(now); });
}

void rest_gateway_state::ask_health(health_question question) {
  ask_directory_health(self_, config_.health_time,
                       [this, question](const node_health& health) { answer_health(question.id, health); });
}

void rest_gateway_state::answer_health(std::uint64_t id, const node_health& health) {
  server_->lane()->post([api = api_, id, health] { api->status().answer_health(id, health); });
}

rest_gateway_actor spawn_rest_gateway(caf::actor_system& system, rest_gateway_config config) {
  return system.spawn<rest_gateway_actor::stateful_impl<rest_gateway_state>>(std::move(config));
}

} // namespace troupe
