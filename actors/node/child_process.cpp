// SPDX-License-Identifier: Apache-2.0
#include "actors/node/child_process.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

#include <caf/actor_system.hpp>

#include "actors/log/log.hpp"
#include "actors/log/unhandled_exception.hpp"
#include "messages/caf_error.hpp"

namespace troupe {

child_process_state::child_process_state(child_process_actor::pointer self, child_process_config config)
  : self_(self), config_(std::move(config)) {}

child_process_actor::behavior_type child_process_state::make_behavior() {
  log_unhandled_exceptions(self_);
  self_->set_exit_handler([this](const caf::exit_msg& message) { exit(message); });
  tick();
  return {[this](const drain_request& what) { return drain(what); }};
}

void child_process_state::tick() {
  if (!process_) {
    start();
  } else if (auto end = process_->find_end()) {
    ended(*end);
    return;
  } else {
    hurry();
  }
  self_->run_delayed(config_.poll_interval, [this] { tick(); });
}

void child_process_state::start() {
  auto text = config_.make_text();
  if (!text)
    return;
  auto made = spawned_process::start({config_.program, config_.arguments, std::move(*text)});
  if (!made) {
    self_->quit(to_caf_error(made.error()));
    return;
  }
  process_.emplace(std::move(*made));
  log_info("child", "a process was started", {{"child", config_.name}, {"pid", process_->pid()}});
}

/// Shortens the time that the process has if it was asked before.
void child_process_state::ask_to_end(std::chrono::nanoseconds limit) {
  auto until = self_->clock().now() + limit;
  if (!kill_at_)
    process_->send(SIGTERM);
  kill_at_ = std::min(kill_at_.value_or(until), until);
}

/// Kills what was asked to end and did not.
void child_process_state::hurry() {
  auto now = self_->clock().now();
  if (give_up_at_ && now >= *give_up_at_) {
    log_error("child", "a process that was killed does not end", {{"child", config_.name}, {"pid", process_->pid()}});
    leave(to_caf_error({errc::internal, "the process hangs in the kernel"}));
  } else if (kill_at_ && now >= *kill_at_ && !give_up_at_) {
    log_warning("child", "a process did not end in time and is killed", {{"child", config_.name}});
    process_->send(SIGKILL);
    give_up_at_ = now + config_.kill_time;
  }
}

void child_process_state::ended(const process_end& end) {
  auto how = to_string(end);
  if (kill_at_) {
    log_info("child", "a process ended", {{"child", config_.name}, {"how", how}});
    leave(exit_reason_);
    return;
  }
  auto lost = end == process_end{process_end::how::exit_code, config_.device_lost_code};
  leave(to_caf_error({lost ? errc::device_failed : errc::worker_lost, "the process ended with " + how}));
}

void child_process_state::leave(caf::error reason) {
  for (auto& promise : drains_)
    promise.deliver();
  drains_.clear();
  self_->quit(std::move(reason));
}

caf::result<void> child_process_state::drain(const drain_request& what) {
  auto promise = self_->make_response_promise<void>();
  drains_.push_back(promise);
  if (process_)
    ask_to_end(what.time_left + config_.drain_grace);
  else
    leave({}); // it has not begun
  return promise;
}

void child_process_state::exit(const caf::exit_msg& message) {
  exit_reason_ = message.reason;
  if (process_)
    ask_to_end(config_.stop_time);
  else
    leave(exit_reason_);
}

child_process_actor spawn_child_process(caf::actor_system& system, child_process_config config) {
  return system.spawn<child_process_actor::stateful_impl<child_process_state>>(std::move(config));
}

} // namespace troupe
