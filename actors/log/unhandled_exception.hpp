// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <string>

#include "actors/log/log.hpp"
#include "messages/caf_error.hpp"

namespace troupe {

/// Makes an exception that a handler of this actor lets out a log line and the actor's exit reason
/// (errc::internal), instead of CAF's line on standard output. Call it first in make_behavior().
template <class Actor>
void log_unhandled_exceptions(Actor* self) {
  self->set_exception_handler([self](std::exception_ptr& thrown) -> caf::error {
    std::string what = "an exception of unknown type";
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      what = e.what();
    } catch (...) {
    }
    log_error("actor", "ended by an exception", {{"actor", self->name()}, {"what", what}});
    return to_caf_error({errc::internal, what});
  });
}

} // namespace troupe
