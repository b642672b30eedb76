// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "messages/ids.hpp"

namespace troupe {

enum class memory_kind : std::uint8_t { host };

/// Memory that transports may read and write. It stays valid as long as keep_alive is held, so that
/// the death of its owner never pulls it from under a copy.
struct region_view {
  std::byte* data = nullptr;
  std::uint64_t bytes = 0;
  memory_kind kind = memory_kind::host;
  std::shared_ptr<const void> keep_alive;
  /// The file (a memfd) behind the memory, for other processes to map; -1: there is none. Open as long as keep_alive is held.
  int fd = -1;
  /// Where in the file `data` begins.
  std::uint64_t fd_offset = 0;
};

/// A registered region of one transport endpoint.
using region_id = strong_id<struct region_id_tag, std::uint32_t>;

} // namespace troupe
