// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <memory>
#include <utility>

#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include "actors/worker/device_interface.hpp"

namespace troupe {

// device: owns one executor and is the only place that launches computation.
//
// Its worker spawns it, is linked to it, and is the only one to talk to it; the executor reports by
// message from its own threads. Ends with its worker, or with errc::device_failed when the executor
// reports device_lost. Bound: the executor's steps_in_flight_max, which the worker's scheduler keeps.

class device_state {
public:
  static inline const char* name = "troupe.device";

  device_state(device_actor::pointer self, std::unique_ptr<gpu::executor> executor);

  device_actor::behavior_type make_behavior();

private:
  caf::result<gpu::step_result> run(planned_step&);
  void finish(gpu::step_result&);

  device_actor::pointer self_;
  /// Steps in flight, in order of submission.
  std::deque<std::pair<step_id, caf::typed_response_promise<gpu::step_result>>> in_flight_;
  /// Last, so that it is destroyed first and its threads report to a state that still exists.
  std::unique_ptr<gpu::executor> executor_;
};

/// Spawns a device that is linked to `owner`.
device_actor spawn_device(caf::scheduled_actor& owner, std::unique_ptr<gpu::executor>);

} // namespace troupe
