// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace troupe {

/// Bumped whenever the layout of a message changes. Nodes of different wire versions never talk.
inline constexpr std::uint16_t wire_version = 4;

} // namespace troupe
