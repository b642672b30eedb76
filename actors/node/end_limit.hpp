// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace troupe {

/// Ends the process if its actors do not: one with a thread of its own may hang in a system call for as long as a
/// network's file system likes, and an actor system waits for all of its actors.
///
/// Made before the actor system, so that it ends after it; started when nothing is left to wait for.
class end_limit {
public:
  explicit end_limit(std::chrono::milliseconds limit) : limit_(limit) {}
  /// The actors are down: it does nothing any more.
  ~end_limit();
  end_limit(const end_limit&) = delete;
  end_limit& operator=(const end_limit&) = delete;

  /// If this object is still there after the limit: one line in the log, and the process ends with this code at once.
  void start(int exit_code);

private:
  const std::chrono::milliseconds limit_;
  std::mutex mutex_;
  std::condition_variable ended_early_;
  bool ended_ = false;
  std::thread watcher_;
};

} // namespace troupe
