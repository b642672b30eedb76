// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/request_session.hpp"

#include <algorithm>
#include <utility>

#include "actors/log/log.hpp"
#include "actors/log/unhandled_exception.hpp"
#include "actors/node/local_services.hpp"
#include "messages/caf_error.hpp"

namespace troupe {

namespace {

/// Whether another worker, or the same one later, may succeed where this error came from.
bool worth_another_try(errc code) {
  switch (code) {
    case errc::worker_lost:
    case errc::device_failed:
    case errc::transfer_failed:
    case errc::stale:
    case errc::draining:
    case errc::unavailable: return true;
    case errc::none:
    case errc::invalid_argument:
    case errc::model_not_found:
    case errc::context_too_long:
    case errc::no_chat_template:
    case errc::overloaded:
    case errc::deadline_exceeded:
    case errc::cancelled:
    case errc::slow_reader:
    case errc::invalid_config:
    case errc::resource:
    case errc::internal: return false;
  }
  return false;
}

} // namespace

request_session_state::request_session_state(request_session_actor::pointer self, inference_request request,
                                             stream_hub_actor hub, request_session_config config)
  : self_(self), request_(std::move(request)), hub_(std::move(hub)), config_(config),
    deadline_(self->clock().now() + request_.time_left),
    queue_deadline_(self->clock().now() + request_.queue_time_left) {}

request_session_state::~request_session_state() { deadline_timer_.dispose(); }

request_session_actor::behavior_type request_session_state::make_behavior() {
  log_unhandled_exceptions(self_);
  self_->monitor(hub_);
  self_->set_down_handler([this](const caf::down_msg& down) {
    if (down.source == hub_.address()) { // nobody is left to tell
      leave_worker();
      end();
    } else if (!ended_ && worker_ && worker_.address() == down.source)
      try_again({errc::worker_lost, "the decode worker ended: " + caf::to_string(down.reason)});
  });
  deadline_timer_ =
    self_->run_delayed(request_.time_left, [this] { fail({errc::deadline_exceeded, "the request's time is up"}); });
  place();
  return {
    [this](const generation_failed& what) {
      if (!worker_ || what.attempt != attempts_)
        return; // of one that was left already
      if (!worth_another_try(what.code)) {
        fail({what.code, what.context});
        return;
      }
      try_again({what.code, what.context});
    },
    [this](const cancel_request&) {
      leave_worker();
      end();
    },
  };
}

std::chrono::nanoseconds request_session_state::time_left() const {
  return std::max<std::chrono::nanoseconds>(deadline_ - self_->clock().now(), std::chrono::nanoseconds{0});
}

/// A peer's answer is not awaited past the deadline. Never zero, which CAF takes for an expired request.
std::chrono::nanoseconds request_session_state::patience() const {
  return std::clamp<std::chrono::nanoseconds>(time_left(), std::chrono::milliseconds{1}, config_.peer_time_max);
}

void request_session_state::place() {
  if (ended_)
    return;
  ++attempts_;
  auto router = local_services::find<router_actor>(self_->system(), local_services::router);
  if (!router) {
    try_again({errc::unavailable, "the router is down"});
    return;
  }
  const auto emitted = static_cast<std::uint32_t>(emitted_.size());
  demand what{request_.id,
              request_.model,
              static_cast<std::uint32_t>(request_.prompt.size()) + emitted,
              request_.output_tokens_max - std::min(emitted, request_.output_tokens_max),
              request_.priority,
              worker_id_,
              emitted_.empty() ? std::nullopt : fingerprint_,
              attempts_};
  self_->request(router, patience(), what)
    .then([this](const routed& where) { hand_over(where); },
          [this](const caf::error& e) {
            auto why = from_caf_error(e);
            // A router that died, or lost its fleet, is back in a moment.
            if (why.code == errc::worker_lost || why.code == errc::unavailable || why.code == errc::deadline_exceeded)
              try_again({errc::unavailable, why.context});
            else
              fail(why);
          });
}

void request_session_state::hand_over(const routed& where) {
  if (ended_)
    return;
  worker_ = caf::actor_cast<decode_worker_actor>(where.decode);
  worker_id_ = where.where.decode;
  if (emitted_.empty())
    fingerprint_ = where.fingerprint;
  else if (fingerprint_ != where.fingerprint) {
    mixed_workers_ = true;
    log_warning("session", "a request goes on at a worker of another model file or arithmetic: its text may differ",
                {{"request", std::to_string(request_.id.value)}, {"worker", std::to_string(worker_id_->value)}});
  }
  self_->monitor(worker_);
  generate_request ask{request_, emitted_, where.where, where.worker_epoch, attempts_, mixed_workers_};
  ask.request.time_left = time_left();
  ask.request.queue_time_left =
    std::max<std::chrono::nanoseconds>(queue_deadline_ - self_->clock().now(), std::chrono::nanoseconds{0});
  self_->request(worker_, patience(), std::move(ask), hub_, caf::actor_cast<request_session_actor>(self_))
    .then([] { /* tokens flow to the hub now */ },
          [this, attempt = attempts_](const caf::error& e) {
            // Not the handle is compared: a worker whose link broke and is back has an equal one.
            if (ended_ || !worker_ || attempts_ != attempt)
              return; // its death was seen first
            auto why = from_caf_error(e);
            // A worker that does not answer in its time is left for another one.
            if (worth_another_try(why.code) || e == caf::sec::request_timeout)
              try_again(why);
            else
              fail(why);
          });
}

/// Leaves the worker that failed, and places the request anew with the tokens that the client has.
void request_session_state::try_again(const error& why) {
  if (ended_)
    return;
  leave_worker();
  if (attempts_ >= config_.attempts_max) {
    fail(why);
    return;
  }
  auto wait = config_.backoff_first * (1 << std::min(attempts_, 10u)) / 2;
  self_->run_delayed(std::min<std::chrono::milliseconds>(wait, config_.backoff_max), [this] { learn_progress(); });
}

void request_session_state::learn_progress() {
  if (ended_)
    return;
  self_->request(hub_, patience(), find_stream_progress{request_.id, attempts_ + 1})
    .then(
      [this](stream_progress& progress) {
        if (progress.ended) {
          end();
          return;
        }
        emitted_ = std::move(progress.emitted);
        // A request that was started is not subject to the queue limit any more.
        if (!emitted_.empty())
          queue_deadline_ = deadline_;
        place();
      },
      [this](const caf::error& e) { fail(from_caf_error(e)); });
}

void request_session_state::fail(const error& why) {
  if (ended_)
    return;
  leave_worker();
  self_->send(hub_, generation_failed{request_.id, attempts_, why.code, why.context});
  end();
}

void request_session_state::leave_worker() {
  if (!worker_)
    return;
  self_->demonitor(worker_);
  self_->send(worker_, cancel_request{request_.id});
  worker_ = decode_worker_actor{};
}

void request_session_state::end() {
  if (std::exchange(ended_, true))
    return;
  // The hub outlives its sessions, and would keep the memory of each that still watches it.
  self_->demonitor(hub_);
  if (auto router = local_services::find<router_actor>(self_->system(), local_services::router))
    self_->send(router, release_placement{request_.id});
  self_->quit();
}

request_session_actor spawn_request_session(caf::actor_system& system, inference_request request, stream_hub_actor hub,
                                            request_session_config config) {
  return system.spawn<request_session_actor::stateful_impl<request_session_state>>(std::move(request), std::move(hub),
                                                                                   config);
}

} // namespace troupe
