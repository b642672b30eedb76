// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>

#include "transport/transport.hpp"

namespace troupe::transport {

class memory_backend;

/// What connects the memory back ends of one process: who there is, and the one mutex that guards
/// everything they know of each other. Bytes are copied outside of the mutex. Lives as long as its last
/// member.
class memory_fabric {
  friend class memory_backend;

  std::mutex mutex_;
  // A copy has ended, so its regions may be free to go.
  std::condition_variable unpinned_;
  std::map<peer_id, memory_backend*> members_;
};

} // namespace troupe::transport
