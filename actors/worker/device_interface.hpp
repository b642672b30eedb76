// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <caf/allowed_unsafe_message_type.hpp>

#include "actors/worker/scheduler.hpp"
#include "gpu/executor.hpp"
#include "messages/interfaces.hpp"

namespace troupe {

/// One executor: the only actor that launches computation.
using device_actor = caf::typed_actor<
  // Closes and opens slots, then submits. The response comes when the step is done; a step that could
  // not run answers with its error code inside, a device that is gone with errc::device_failed.
  auto(planned_step)->caf::result<gpu::step_result>,
  // From the executor's threads.
  auto(gpu::step_result)->caf::result<void>>;

} // namespace troupe

// Types that never leave their process get ids of their own, far from the wire block's, which grows.
CAF_BEGIN_TYPE_ID_BLOCK(troupe_device, first_custom_type_id + 1000)
CAF_ADD_TYPE_ID(troupe_device, (troupe::planned_step))
CAF_ADD_TYPE_ID(troupe_device, (troupe::gpu::step_result))
CAF_END_TYPE_ID_BLOCK(troupe_device)

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::planned_step)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::gpu::step_result)
