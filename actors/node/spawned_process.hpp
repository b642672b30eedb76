// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "messages/errc.hpp"

namespace troupe {

/// How a process ended.
struct process_end {
  enum class how : std::uint8_t { exit_code, signal };
  how kind = how::exit_code;
  int value = 0;

  friend bool operator==(const process_end&, const process_end&) = default;
};

/// "exit code 6" or "signal SIGKILL".
std::string to_string(const process_end&);

/// A process of this one's making. It has this one's standard error, nothing on standard input and output, a process
/// group of its own (Ctrl-C in a terminal is for the parent), and besides only two descriptors:
struct spawned_process_descriptors {
  /// A file in memory with the text that it was given.
  static constexpr int text = 3;
  /// A pipe that is closed when the parent's end is: at the parent's death, however it dies.
  static constexpr int lifeline = 4;
};

class spawned_process {
public:
  struct command {
    std::string program;
    /// Beginning with the name of the program.
    std::vector<std::string> arguments;
    std::string text;
  };

  /// errc::resource if it cannot be made.
  static expected<spawned_process, error> start(const command&);

  spawned_process(spawned_process&&) noexcept;
  spawned_process& operator=(spawned_process&&) = delete;
  /// Kills it if find_end() has not seen its end; without waiting, as nobody may who runs this.
  ~spawned_process();

  pid_t pid() const { return pid_; }
  /// Does nothing after its end.
  void send(int signal) const;
  /// How it ended, if it has. Never waits. Until it has said so once, the process id is not given to others.
  std::optional<process_end> find_end();

private:
  spawned_process(pid_t pid, int lifeline) : pid_(pid), lifeline_(lifeline) {}

  pid_t pid_ = -1;
  int lifeline_ = -1;
  std::optional<process_end> end_;
};

} // namespace troupe
