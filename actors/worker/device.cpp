// SPDX-License-Identifier: Apache-2.0
#include "actors/worker/device.hpp"

#include <chrono>

#include <caf/send.hpp>

#include "actors/log/unhandled_exception.hpp"
#include "messages/caf_error.hpp"

namespace troupe {

device_state::device_state(device_actor::pointer self, std::unique_ptr<gpu::executor> executor)
  : self_(self), executor_(std::move(executor)) {
  // A weak pointer: the executor belongs to the actor, which must not keep itself alive.
  caf::weak_actor_ptr me{self_->ctrl()};
  executor_->on_done([me](gpu::step_result result) {
    result.done_at = std::chrono::steady_clock::now();
    if (auto strong = me.lock())
      caf::anon_send(caf::actor_cast<device_actor>(strong), std::move(result));
  });
}

device_actor::behavior_type device_state::make_behavior() {
  log_unhandled_exceptions(self_);
  return {
    [this](planned_step& planned) { return run(planned); },
    [this](gpu::step_result& result) { finish(result); },
  };
}

caf::result<gpu::step_result> device_state::run(planned_step& planned) {
  for (auto slot : planned.closes)
    executor_->close(slot);
  for (auto& open : planned.opens)
    if (auto code = executor_->open(open.slot, open.sampling, open.history, open.prompt_tokens);
        code != gpu::errc::none)
      return gpu::step_result{planned.step.id, code, "opening slot " + std::to_string(open.slot.value), {}, {}};
  auto id = planned.step.id;
  // The promise is queued first: an executor may report from another thread before submit returns.
  auto promise = self_->make_response_promise<gpu::step_result>();
  in_flight_.emplace_back(id, promise);
  if (auto code = executor_->submit(std::move(planned.step)); code != gpu::errc::none) {
    in_flight_.pop_back();
    promise.deliver(gpu::step_result{id, code, "submitting a step", {}, {}});
  }
  return promise;
}

void device_state::finish(gpu::step_result& result) {
  if (in_flight_.empty() || in_flight_.front().first != result.id)
    return; // only possible for a step that submit() refused
  auto promise = std::move(in_flight_.front().second);
  in_flight_.pop_front();
  auto lost = result.code == gpu::errc::device_lost;
  promise.deliver(std::move(result));
  if (lost)
    self_->quit(to_caf_error({errc::device_failed, "the executor lost its device"}));
}

device_actor spawn_device(caf::scheduled_actor& owner, std::unique_ptr<gpu::executor> executor) {
  auto device = owner.home_system().spawn<device_actor::stateful_impl<device_state>>(std::move(executor));
  owner.link_to(device->address());
  // A link alone does not keep the device alive until its owner is gone. Its last reference could then go on
  // the executor's own thread, for whose report the executor's destructor waits.
  owner.attach_functor([device] { caf::anon_send_exit(device, caf::exit_reason::user_shutdown); });
  return device;
}

} // namespace troupe
