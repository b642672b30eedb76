// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/chat/wait.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace troupe::chat {

namespace {

// For poll(): rounded up, so that a wait never spins through its last millisecond.
int milliseconds_until(deadline when) {
  if (when == deadline::max())
    return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(when - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000'000));
}

} // namespace

wake wait_for(int fd, direction way, int interrupt_fd, deadline when) {
  for (;;) {
    const short events = way == direction::read ? POLLIN : POLLOUT;
    std::array<pollfd, 2> fds{pollfd{fd, events, 0}, pollfd{interrupt_fd, POLLIN, 0}};
    const int count = ::poll(fds.data(), fds.size(), milliseconds_until(when));
    if (count < 0 && errno == EINTR)
      continue; // the signal is in the pipe now
    if (count < 0)
      return wake::failed;
    if (fds[1].revents != 0)
      return wake::interrupted;
    if (fds[0].revents != 0)
      return wake::ready;
    if (count == 0 && when <= std::chrono::steady_clock::now())
      return wake::timed_out;
  }
}

} // namespace troupe::chat
