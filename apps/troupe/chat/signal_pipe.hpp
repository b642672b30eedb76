// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <csignal>
#include <optional>

namespace troupe::chat {

/// Turns SIGINT and SIGTERM into bytes of a pipe while it lives, so that a poll() loop handles them
/// between two statements of its own and nothing runs inside a signal handler. One at a time per process.
/// System calls that block are interrupted (no SA_RESTART).
class signal_pipe {
public:
  /// Check open() after: without descriptors left there is no pipe, and the signals keep their meaning.
  signal_pipe();
  ~signal_pipe();
  signal_pipe(const signal_pipe&) = delete;
  signal_pipe& operator=(const signal_pipe&) = delete;

  bool open() const { return ends_[0] >= 0; }

  /// Readable while a signal waits to be taken.
  int fd() const { return ends_[0]; }

  /// One more signal is caught, and then they have the meaning again that they had before.
  void catch_one_more();

  /// The signals that came since the last call, as one: SIGTERM if it was among them, else SIGINT.
  std::optional<int> take();

private:
  static void forward(int signal);
  void restore() const;

  std::array<int, 2> ends_{-1, -1};
  struct sigaction old_int_{};
  struct sigaction old_term_{};
};

} // namespace troupe::chat
