// SPDX-License-Identifier: Apache-2.0
#include "actors/node/spawned_process.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "messages/descriptor.hpp"

extern char** environ;

namespace troupe {

namespace {

unexpected<error> failed(const char* what, int code) {
  return fail(errc::resource, std::string{"a process cannot be made: "} + what + ": " + std::strerror(code));
}

/// Out of the way of the numbers that the process gets.
int moved_up(int fd) { return ::fcntl(fd, F_DUPFD_CLOEXEC, 10); }

/// A file in memory; no name, so that nothing is left of it once both processes have closed it.
int file_of(const std::string& text) {
  descriptor made{::memfd_create("troupe", MFD_CLOEXEC)};
  for (std::size_t done = 0; made.get() >= 0 && done < text.size();) {
    auto n = ::write(made.get(), text.data() + done, text.size() - done);
    if (n < 0 && errno != EINTR)
      return -1;
    done += n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  if (made.get() < 0 || ::lseek(made.get(), 0, SEEK_SET) != 0)
    return -1;
  return moved_up(made.get());
}

/// What posix_spawn is told. `close_from` runs in the new process, so nothing that other threads open meanwhile
/// gets there, least of all clients' sockets, which would stay open for as long as the process lives.
class recipe {
public:
  recipe() {
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&attributes);
  }
  recipe(const recipe&) = delete;
  recipe& operator=(const recipe&) = delete;
  ~recipe() {
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
  }

  int fill(int text, int lifeline) {
    sigset_t none;
    sigset_t usual;
    ::sigemptyset(&none);
    ::sigfillset(&usual);
    const int codes[] = {
      ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0),
      ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0),
      ::posix_spawn_file_actions_adddup2(&files, text, spawned_process_descriptors::text),
      ::posix_spawn_file_actions_adddup2(&files, lifeline, spawned_process_descriptors::lifeline),
      ::posix_spawn_file_actions_addclosefrom_np(&files, spawned_process_descriptors::lifeline + 1),
      ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF),
      ::posix_spawnattr_setpgroup(&attributes, 0),
      ::posix_spawnattr_setsigmask(&attributes, &none),
      ::posix_spawnattr_setsigdefault(&attributes, &usual),
    };
    for (int code : codes)
      if (code != 0)
        return code;
    return 0;
  }

  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
};

} // namespace

std::string to_string(const process_end& end) {
  if (end.kind == process_end::how::exit_code)
    return "exit code " + std::to_string(end.value);
  const char* name = ::sigabbrev_np(end.value);
  return name == nullptr ? "signal " + std::to_string(end.value) : std::string{"signal SIG"} + name;
}

expected<spawned_process, error> spawned_process::start(const command& what) {
  const descriptor text{file_of(what.text)};
  if (text.get() < 0)
    return failed("no file in memory", errno);
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return failed("no pipe", errno);
  descriptor theirs{ends[0]};
  descriptor ours{ends[1]};
  theirs = descriptor{moved_up(theirs.get())};
  if (theirs.get() < 0)
    return failed("no descriptor", errno);
  recipe how;
  if (int code = how.fill(text.get(), theirs.get()); code != 0)
    return failed("descriptors", code);
  std::vector<char*> arguments;
  for (auto& argument : what.arguments)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = -1;
  if (int code = ::posix_spawn(&pid, what.program.c_str(), &how.files, &how.attributes, arguments.data(), environ);
      code != 0)
    return failed(what.program.c_str(), code);
  return spawned_process{pid, ours.release()};
}

spawned_process::spawned_process(spawned_process&& other) noexcept
  : pid_(std::exchange(other.pid_, -1)), lifeline_(std::exchange(other.lifeline_, -1)), end_(other.end_) {}

spawned_process::~spawned_process() {
  send(SIGKILL);
  if (pid_ > 0)
    find_end(); // else it stays a zombie until this process ends
  if (lifeline_ >= 0)
    ::close(lifeline_);
}

void spawned_process::send(int signal) const {
  if (pid_ > 0 && !end_)
    ::kill(pid_, signal);
}

std::optional<process_end> spawned_process::find_end() {
  int status = 0;
  if (end_ || ::waitpid(pid_, &status, WNOHANG) != pid_)
    return end_;
  end_ = WIFSIGNALED(status) ? process_end{process_end::how::signal, WTERMSIG(status)}
                             : process_end{process_end::how::exit_code, WEXITSTATUS(status)};
  return end_;
}

} // namespace troupe
