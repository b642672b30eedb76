// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace troupe {

/// Bumped whenever the layout of a message changes. Nodes of different wire versions greet each other (node_hello,
/// whose layout never changes) and then part.
inline constexpr std::uint16_t wire_version = 8;

} // namespace troupe
