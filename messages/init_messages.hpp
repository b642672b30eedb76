// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace troupe {

/// Registers Troupe's messages with CAF. Called once, before the first actor system is made and
/// after CAF's own types were registered.
void init_messages();

} // namespace troupe
