// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <caf/error.hpp>

#include "messages/errc.hpp"

namespace troupe {

/// For a handler's response: the code, and the context as its message.
caf::error to_caf_error(const error&);

/// What a peer's or CAF's own error means here: Troupe's codes as they are; a time-out is
/// deadline_exceeded, a peer that is gone worker_lost, everything else internal. Keeps CAF's text.
error from_caf_error(const caf::error&);

} // namespace troupe
