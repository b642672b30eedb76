// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

namespace troupe::chat {

enum class wake : std::uint8_t {
  /// The descriptor can be read or written, or its peer is gone.
  ready,
  /// The interrupt descriptor is readable; it is for the caller to read it.
  interrupted,
  timed_out,
  /// poll() itself failed.
  failed,
};

enum class direction : std::uint8_t { read, write };

using deadline = std::chrono::steady_clock::time_point;

/// Waits for a descriptor, an interrupt or the deadline. An interrupt wins over readiness. A negative
/// `interrupt_fd` is none; deadline::max() is no deadline, for waiting for a person.
wake wait_for(int fd, direction, int interrupt_fd, deadline);

} // namespace troupe::chat
