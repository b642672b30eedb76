// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "messages/ids.hpp"

namespace troupe {

enum class memory_kind : std::uint8_t { host };

/// Memory that somebody else owns and keeps valid while it is registered with a transport.
struct region_view {
  std::byte* data = nullptr;
  std::uint64_t bytes = 0;
  memory_kind kind = memory_kind::host;
};

/// A registered region of one transport endpoint.
using region_id = strong_id<struct region_id_tag, std::uint32_t>;

} // namespace troupe
