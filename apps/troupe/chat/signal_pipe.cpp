// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/chat/signal_pipe.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cerrno>

namespace troupe::chat {

namespace {

std::atomic<int> write_end{-1};
/// The pipe that catches no more than the next signal.
std::atomic<const signal_pipe*> leaving{nullptr};
// Or the handler could not read them.
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<const signal_pipe*>::is_always_lock_free);

} // namespace

void signal_pipe::forward(int signal) {
  const int saved = errno;
  if (const auto* last = leaving.load())
    last->restore();
  const auto byte = static_cast<unsigned char>(signal);
  // A full pipe already holds what the loop needs to know.
  [[maybe_unused]] const auto written = ::write(write_end.load(std::memory_order_relaxed), &byte, 1);
  errno = saved;
}

signal_pipe::signal_pipe() {
  if (::pipe2(ends_.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    ends_ = {-1, -1};
    return;
  }
  assert(write_end.load() < 0);
  write_end = ends_[1];
  struct sigaction action{};
  action.sa_handler = forward;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &old_int_);
  sigaction(SIGTERM, &action, &old_term_);
}

signal_pipe::~signal_pipe() {
  if (!open())
    return;
  restore();
  leaving = nullptr;
  write_end = -1;
  ::close(ends_[0]);
  ::close(ends_[1]);
}

void signal_pipe::catch_one_more() { leaving = this; }

void signal_pipe::restore() const {
  sigaction(SIGINT, &old_int_, nullptr);
  sigaction(SIGTERM, &old_term_, nullptr);
}

std::optional<int> signal_pipe::take() {
  std::optional<int> result;
  std::array<unsigned char, 64> bytes{};
  for (ssize_t got = 0; (got = ::read(ends_[0], bytes.data(), bytes.size())) > 0;)
    for (ssize_t i = 0; i < got; ++i)
      result = std::max(result.value_or(0), static_cast<int>(bytes[static_cast<std::size_t>(i)]));
  static_assert(SIGTERM > SIGINT);
  return result;
}

} // namespace troupe::chat
