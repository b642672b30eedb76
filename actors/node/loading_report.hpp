// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "gpu/host/host_weights.hpp"

namespace troupe {

/// Says how far loading weights has come: on a terminal in one line that is written over, else in a line of the log for
/// each tenth.
class loading_report {
public:
  using clock = std::chrono::steady_clock;

  loading_report();
  /// Ends the terminal's line.
  ~loading_report();
  loading_report(const loading_report&) = delete;
  loading_report& operator=(const loading_report&) = delete;

  void update(const gpu::host::load_progress&);

private:
  const clock::time_point begin_ = clock::now();
  const bool is_terminal_;
  std::uint64_t tenths_ = 0;
};

/// "1.10 of 2.40 GB, 1.60 GB/s, 1 s left"
std::string to_string(const gpu::host::load_progress&, std::chrono::duration<double> passed);

} // namespace troupe
