// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace troupe::chat {

enum class line_end : std::uint8_t {
  /// `text` is a line, without its end.
  line,
  /// Nothing more comes.
  end_of_input,
  /// The interrupt descriptor became readable.
  interrupted,
  /// The line was longer than the bound and is skipped.
  too_long,
};

struct line_result {
  line_end end{};
  std::string text;
};

/// Lines of a descriptor (terminal, pipe or file), interruptible. A last line without an end counts.
class line_reader {
public:
  static constexpr std::size_t line_bytes_max = 1 << 20;

  /// Does not own the descriptor.
  explicit line_reader(int fd) : fd_(fd) {}

  line_result next(int interrupt_fd);

  /// What was typed of a line that Ctrl-C took back.
  void forget_partial_line() { buffer_.clear(); }

private:
  int fd_;
  bool at_end_ = false;
  bool skipping_ = false;
  std::string buffer_;
};

} // namespace troupe::chat
