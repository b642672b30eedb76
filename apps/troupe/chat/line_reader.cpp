// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/chat/line_reader.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "apps/troupe/chat/wait.hpp"

namespace troupe::chat {

line_result line_reader::next(int interrupt_fd) {
  for (;;) {
    if (const auto end = buffer_.find('\n'); end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      if (!line.empty() && line.back() == '\r')
        line.pop_back();
      if (std::exchange(skipping_, false))
        return {line_end::too_long, ""};
      return {line_end::line, std::move(line)};
    }
    if (at_end_ && !buffer_.empty())
      return {line_end::line, std::exchange(buffer_, "")};
    if (at_end_)
      return {std::exchange(skipping_, false) ? line_end::too_long : line_end::end_of_input, ""};
    if (buffer_.size() > line_bytes_max || skipping_) {
      skipping_ = true;
      buffer_.clear();
    }
    switch (wait_for(fd_, direction::read, interrupt_fd, deadline::max())) {
      case wake::interrupted: return {line_end::interrupted, ""};
      case wake::timed_out:
      case wake::failed: at_end_ = true; continue;
      case wake::ready: break;
    }
    std::array<char, 4'096> bytes{};
    const auto got = ::read(fd_, bytes.data(), bytes.size());
    if (got > 0)
      buffer_.append(bytes.data(), static_cast<std::size_t>(got));
    else if (got == 0 || (errno != EINTR && errno != EAGAIN))
      at_end_ = true; // EIO: the terminal is gone
  }
}

} // namespace troupe::chat
