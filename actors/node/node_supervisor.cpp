// SPDX-License-Identifier: Apache-2.0
#include "actors/node/node_supervisor.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <caf/actor_registry.hpp>
#include <caf/send.hpp>

#include "actors/log/log.hpp"
#include "actors/log/unhandled_exception.hpp"
#include "messages/caf_error.hpp"

namespace troupe {

namespace {

/// Every child that can be drained answers this much of its interface.
using drainable_actor = caf::typed_actor<auto(drain_request)->caf::result<void>>;

void drop_older_than(std::deque<std::chrono::steady_clock::time_point>& times,
                     std::chrono::steady_clock::time_point limit) {
  while (!times.empty() && times.front() < limit)
    times.pop_front();
}

} // namespace

node_supervisor_state::node_supervisor_state(node_supervisor_actor::pointer self, node_supervisor_config config)
  : self_(self), config_(std::move(config)) {
  for (auto& spec : config_.children)
    children_.push_back({std::move(spec), {}, {}});
}

node_supervisor_state::~node_supervisor_state() {
  // Its children have no other owner.
  for (auto& c : children_)
    if (c.handle) {
      self_->system().registry().erase(c.spec.name);
      caf::anon_send_exit(c.handle, caf::exit_reason::user_shutdown);
    }
}

node_supervisor_actor::behavior_type node_supervisor_state::make_behavior() {
  log_unhandled_exceptions(self_);
  self_->set_down_handler([this](const caf::down_msg& down) { child_down(down); });
  for (std::size_t i = 0; i < children_.size(); ++i)
    start(i);
  return {[this](const drain_request& what) { return drain(what); }};
}

void node_supervisor_state::start(std::size_t index) {
  auto& c = children_[index];
  c.handle = c.spec.start();
  if (!c.handle) {
    self_->run_delayed(config_.backoff_max, [this, index] {
      if (!draining_)
        start(index);
    });
    return;
  }
  self_->monitor(c.handle);
  self_->system().registry().put(c.spec.name, c.handle);
  if (c.spec.started)
    c.spec.started(c.handle);
}

void node_supervisor_state::child_down(const caf::down_msg& down) {
  auto i = std::ranges::find_if(children_, [&](auto& c) { return c.handle && c.handle == down.source; });
  if (i == children_.end())
    return;
  auto& c = *i;
  c.handle = nullptr;
  self_->system().registry().erase(c.spec.name);
  if (draining_)
    return;
  auto now = self_->clock().now();
  failures_.push_back(now);
  c.failures.push_back(now);
  drop_older_than(failures_, now - config_.restart_window);
  drop_older_than(c.failures, now - config_.restart_window);
  auto reason = caf::to_string(down.reason);
  if (failures_.size() > config_.restarts_max) {
    auto why = c.spec.name + " failed, the " + std::to_string(failures_.size())
               + "th failure within the restart window: " + reason;
    log_error("supervisor", "giving up", {{"why", why}});
    if (config_.give_up)
      config_.give_up({from_caf_error(down.reason).code, why});
    self_->quit(caf::exit_reason::user_shutdown);
    return;
  }
  auto wait = backoff_after(c.failures.size());
  log_warning("supervisor", "an actor failed and is restarted",
              {{"actor", c.spec.name}, {"reason", reason}, {"wait_ms", std::to_string(wait.count())}});
  self_->run_delayed(wait, [this, index = static_cast<std::size_t>(i - children_.begin())] {
    if (!draining_)
      start(index);
  });
}

std::chrono::milliseconds node_supervisor_state::backoff_after(std::size_t failures) const {
  auto wait = config_.backoff_first;
  for (std::size_t k = 1; k < failures && wait < config_.backoff_max; ++k)
    wait *= 2;
  return std::min(wait, config_.backoff_max);
}

caf::result<void> node_supervisor_state::drain(const drain_request& what) {
  draining_ = true;
  auto promise = self_->make_response_promise<void>();
  auto until = self_->clock().now() + what.time_left;
  drain_rank(child_spec::drain_rank::gateway, promise, until);
  return promise;
}

/// Drains the children of one rank, then the next rank.
void node_supervisor_state::drain_rank(child_spec::drain_rank rank, caf::typed_response_promise<void> promise,
                                       std::chrono::steady_clock::time_point until) {
  if (rank == child_spec::drain_rank::never) {
    promise.deliver();
    return;
  }
  auto next = static_cast<child_spec::drain_rank>(static_cast<std::uint8_t>(rank) + 1);
  auto open = std::make_shared<std::size_t>(1);
  auto one_done = [=, this]() mutable {
    if (--*open == 0)
      drain_rank(next, promise, until);
  };
  auto time_left = std::max<std::chrono::nanoseconds>(until - self_->clock().now(), std::chrono::milliseconds{1});
  for (auto& c : children_) {
    if (c.spec.drain != rank || !c.handle)
      continue;
    ++*open;
    // Each child ends in time by itself; the second on top is for one that does not.
    self_
      ->request(caf::actor_cast<drainable_actor>(c.handle), time_left + std::chrono::seconds{1},
                drain_request{time_left})
      .then(one_done, [one_done](const caf::error&) mutable { one_done(); });
  }
  one_done();
}

node_supervisor_actor spawn_node_supervisor(caf::actor_system& system, node_supervisor_config config) {
  return system.spawn<node_supervisor_actor::stateful_impl<node_supervisor_state>>(std::move(config));
}

} // namespace troupe
