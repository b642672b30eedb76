// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <utility>

#include "actors/node/local_services.hpp"
#include "messages/caf_error.hpp"
#include "messages/control/node_health.hpp"

namespace troupe {

/// Asks this node's directory, for an actor, on which `answer` runs with a node_health. A directory that is down, or
/// does not answer within the time, is a problem of the node.
template <class Self, class Answer>
void ask_directory_health(Self* self, std::chrono::milliseconds time, Answer answer) {
  auto directory = local_services::find<directory_actor>(self->system(), local_services::directory);
  if (!directory)
    return answer(node_health{{"the directory is not running"}, 0});
  self->request(directory, time, find_health{})
    .then([answer](const node_health& health) { answer(health); },
          [answer](const caf::error& e) {
            answer(node_health{{"the directory does not answer: " + from_caf_error(e).context}, 0});
          });
}

} // namespace troupe
