// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/text_thread.hpp"

namespace troupe {

text_thread::text_thread(std::size_t queue_max) : queue_max_(queue_max), thread_([this] { run(); }) {}

text_thread::~text_thread() { stop(); }

void text_thread::stop() {
  // Destroyed outside of the lock: jobs may own anything.
  std::deque<std::function<void()>> dropped;
  {
    std::lock_guard lock{mutex_};
    stopping_ = true;
    dropped.swap(queue_);
  }
  changed_.notify_one();
  if (thread_.joinable())
    thread_.join();
}

bool text_thread::try_post(std::function<void()> job) {
  {
    std::lock_guard lock{mutex_};
    if (stopping_ || queue_.size() >= queue_max_)
      return false;
    queue_.push_back(std::move(job));
  }
  changed_.notify_one();
  return true;
}

void text_thread::run() {
  for (;;) {
    std::function<void()> job;
    {
      std::unique_lock lock{mutex_};
      changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_)
        return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    job();
  }
}

} // namespace troupe
