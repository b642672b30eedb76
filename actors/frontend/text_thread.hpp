// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace troupe {

/// The thread that parses, renders and tokenizes, so that a long prompt never holds up the streams of
/// the I/O thread. One job at a time, in order.
class text_thread {
public:
  explicit text_thread(std::size_t queue_max);
  text_thread(const text_thread&) = delete;
  text_thread& operator=(const text_thread&) = delete;
  /// Stops.
  ~text_thread();

  /// Finishes the job in work, drops the others, takes no more. Not from the thread itself.
  void stop();

  /// False: the queue is full, or the thread was stopped. From any thread.
  [[nodiscard]] bool try_post(std::function<void()> job);

private:
  void run();

  std::size_t queue_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace troupe
