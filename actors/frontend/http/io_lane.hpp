// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

namespace troupe {

/// The way to an I/O thread. Work runs there in the order in which one thread posted it. Work posted after
/// the thread ended is dropped.
class io_lane {
public:
  virtual ~io_lane() = default;
  /// From any thread; never blocks.
  virtual void post(std::function<void()> work) = 0;
};

} // namespace troupe
