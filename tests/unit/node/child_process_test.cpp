// SPDX-License-Identifier: Apache-2.0
#include "actors/node/child_process.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "actors/node/actor_types.hpp"
#include "messages/caf_error.hpp"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

constexpr auto long_time = 20s;

child_process_config shell(const std::string& script) {
  child_process_config config;
  config.name = "test";
  config.program = "/bin/sh";
  config.arguments = {"sh", "-c", script};
  config.make_text = [] { return "hello\nworld\n"; };
  config.poll_interval = 5ms;
  return config;
}

/// A process that ignores SIGTERM.
constexpr auto deaf = "trap '' TERM; while :; do sleep 0.01; done";

struct fixture {
  fixture() {
    init_actor_types();
    config.set("caf.logger.console.verbosity", "quiet");
    system = std::make_unique<caf::actor_system>(config);
    self = std::make_unique<caf::scoped_actor>(*system);
  }

  child_process_actor start(child_process_config c) {
    auto made = spawn_child_process(*system, std::move(c));
    (*self)->monitor(made);
    return made;
  }

  /// Why the actor ended.
  error wait_for_end() {
    error result{errc::deadline_exceeded, "it did not end"};
    (*self)->receive([&](const caf::down_msg& down) { result = from_caf_error(down.reason); },
                     caf::after(long_time) >> [] {});
    return result;
  }

  bool drain(const child_process_actor& child, std::chrono::nanoseconds time_left) {
    bool done = false;
    (*self)
      ->request(child, long_time, drain_request{time_left})
      .receive([&] { done = true; }, [](const caf::error&) {});
    return done;
  }

  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
  std::unique_ptr<caf::scoped_actor> self;
};

/// A file that a script writes its process id to.
struct pid_file {
  std::string path;
  explicit pid_file(const std::string& name = "pid")
    : path("/tmp/troupe-child-process-test." + name + "." + std::to_string(::getpid())) {
    ::unlink(path.c_str());
  }
  ~pid_file() { ::unlink(path.c_str()); }
  std::string script(const std::string& rest) const { return "echo $$ > " + path + "; " + rest; }
  pid_t wait() const {
    pid_t pid = 0;
    for (auto until = std::chrono::steady_clock::now() + long_time;
         pid == 0 && std::chrono::steady_clock::now() < until; std::this_thread::sleep_for(5ms))
      std::ifstream{path} >> pid;
    return pid;
  }
};

bool wait_until_gone(pid_t pid) {
  for (auto until = std::chrono::steady_clock::now() + long_time; std::chrono::steady_clock::now() < until;
       std::this_thread::sleep_for(5ms))
    if (::kill(pid, 0) != 0)
      return true;
  return false;
}

} // namespace

TEST_CASE_FIXTURE(fixture, "a process that ends unasked ends its actor with an error that says how") {
  struct row {
    const char* script;
    error end;
  };
  const row rows[] = {
    {"exit 6", {errc::device_failed, "the process ended with exit code 6"}},
    {"exit 5", {errc::worker_lost, "the process ended with exit code 5"}},
    {"exit 0", {errc::worker_lost, "the process ended with exit code 0"}},
    {"kill -KILL $$", {errc::worker_lost, "the process ended with signal SIGKILL"}},
    {"kill -SEGV $$", {errc::worker_lost, "the process ended with signal SIGSEGV"}},
  };
  for (const auto& r : rows) {
    CAPTURE(r.script);
    auto child = start(shell(r.script));
    auto end = wait_for_end();
    CHECK(end.code == r.end.code);
    CHECK(end.context == r.end.context);
  }
}

TEST_CASE_FIXTURE(fixture, "a program that is not there is an error, not a crash") {
  auto config = shell("");
  config.program = "/nowhere/troupe";
  auto child = start(config);
  CHECK(wait_for_end().code == errc::resource);
}

TEST_CASE_FIXTURE(fixture, "a process has the text, standard error and its lifeline, and nothing else") {
  const int careless = ::fcntl(STDERR_FILENO, F_DUPFD, 50); // as libraries open theirs
  auto config =
    shell("read a <&3 && read b <&3 && [ $a-$b = hello-world ] || exit 11\n"
          "[ \"$(readlink /proc/$$/fd/0)$(readlink /proc/$$/fd/1)\" = /dev/null/dev/null ] || exit 12\n"
          "for fd in /proc/$$/fd/*; do case ${fd##*/} in 0|1|2|3|4) ;; *) [ -e $fd ] && exit 13 ;; esac; done\n"
          "exit 10");
  std::string text(100'000, 'x');
  config.make_text = [text] { return "hello\nworld\n" + text; };
  auto child = start(config);
  CHECK(wait_for_end().context == "the process ended with exit code 10");
  ::close(careless);
}

TEST_CASE_FIXTURE(fixture, "a process starts once its text is known") {
  auto known = std::make_shared<std::atomic<int>>(0);
  auto config = shell("exit 9");
  config.make_text = [known]() -> std::optional<std::string> {
    return ++*known < 5 ? std::nullopt : std::optional<std::string>{""};
  };
  auto child = start(config);
  CHECK(wait_for_end().context == "the process ended with exit code 9");
  CHECK(*known == 5);
}

TEST_CASE_FIXTURE(fixture, "a drain before the start is done at once") {
  auto config = shell("exit 9");
  config.make_text = [] { return std::nullopt; };
  auto child = start(config);
  CHECK(drain(child, 10s));
  CHECK(wait_for_end().code == errc::none);
}

TEST_CASE_FIXTURE(fixture, "a drain asks the process to end, and responds when it has") {
  pid_file pid;
  pid_file asked{"asked"};
  auto child =
    start(shell(pid.script("trap 'echo 1 > " + asked.path + "; exit 0' TERM; while :; do sleep 0.01; done")));
  auto process = pid.wait();
  REQUIRE(process > 0);
  CHECK(drain(child, 10s));
  CHECK(asked.wait() == 1);
  CHECK(::kill(process, 0) != 0);
  CHECK(wait_for_end().code == errc::none);
}

TEST_CASE_FIXTURE(fixture, "a process that does not end within a drain's time is killed") {
  pid_file pid;
  auto config = shell(pid.script(deaf));
  config.drain_grace = 0ms;
  auto child = start(config);
  auto process = pid.wait();
  REQUIRE(process > 0);
  auto began = std::chrono::steady_clock::now();
  CHECK(drain(child, 200ms));
  CHECK(std::chrono::steady_clock::now() - began >= 200ms);
  CHECK(::kill(process, 0) != 0);
}

TEST_CASE_FIXTURE(fixture, "an actor that is told to end sees its process off, even in the middle of a longer drain") {
  pid_file pid;
  auto config = shell(pid.script(deaf));
  config.stop_time = 50ms;
  auto child = start(config);
  auto process = pid.wait();
  REQUIRE(process > 0);
  caf::anon_send(child, drain_request{1h});
  caf::anon_send_exit(child, caf::exit_reason::user_shutdown);
  wait_for_end();
  CHECK(::kill(process, 0) != 0);
}

TEST_CASE_FIXTURE(fixture, "an actor that ends without notice takes its process with it") {
  pid_file pid;
  auto child = start(shell(pid.script(deaf)));
  auto process = pid.wait();
  REQUIRE(process > 0);
  caf::anon_send_exit(child, caf::exit_reason::kill);
  wait_for_end();
  // Not waited for, so it may stay as a zombie; but it runs no more.
  std::string state;
  for (int i = 0; i < 2000 && state != "Z" && ::kill(process, 0) == 0; ++i, std::this_thread::sleep_for(5ms)) {
    std::ifstream stat{"/proc/" + std::to_string(process) + "/stat"};
    std::string word;
    stat >> word >> word >> state;
  }
  CHECK((state == "Z" || wait_until_gone(process)));
}

TEST_CASE("a lifeline closes with the owner's end, and an end is told as often as it is asked for") {
  pid_file begun{"begun"};
  pid_file ended{"ended"};
  {
    // The reader outlives the process that the owner kills: it is a process of its own.
    auto made = spawned_process::start(
      {"/bin/sh", {"sh", "-c", "(read x <&4; echo 1 > " + ended.path + ") & " + begun.script("exec sleep 60")}, ""});
    REQUIRE(made);
    CHECK(begun.wait() == made->pid());
    CHECK_FALSE(made->find_end());
    made->send(SIGTERM);
    for (int i = 0; i < 2000 && !made->find_end(); ++i)
      std::this_thread::sleep_for(5ms);
    CHECK(made->find_end() == process_end{process_end::how::signal, SIGTERM});
    CHECK(made->find_end() == process_end{process_end::how::signal, SIGTERM});
    made->send(SIGKILL); // to nobody
    CHECK(::access(ended.path.c_str(), F_OK) != 0);
  }
  CHECK(ended.wait() == 1);
}
