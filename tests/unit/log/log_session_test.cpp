// SPDX-License-Identifier: Apache-2.0
#include "actors/log/log.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

using namespace troupe;

namespace {

/// What `action` writes to standard error.
std::string stderr_of(const std::function<void()>& action) {
  std::array<char, 32> name{"/tmp/troupe-log-test-XXXXXX"};
  const int file = mkstemp(name.data());
  REQUIRE(file >= 0);
  unlink(name.data());
  const int saved = dup(STDERR_FILENO);
  dup2(file, STDERR_FILENO);
  action();
  dup2(saved, STDERR_FILENO);
  close(saved);
  std::string result(static_cast<std::size_t>(lseek(file, 0, SEEK_END)), '\0');
  const auto got = pread(file, result.data(), result.size(), 0);
  close(file);
  CHECK(got == static_cast<ssize_t>(result.size()));
  return result;
}

} // namespace

TEST_CASE("a session writes lines of its level and above, all before it ends") {
  const auto text = stderr_of([] {
    log_session session{{log_level::warning, log_format::text}};
    log_info("a", "not this");
    log_warning("a", "this");
    log_error("a", "and this", {{"n", 3}});
  });
  CHECK(text.find("not this") == std::string::npos);
  CHECK(text.find(" warning a this\n") != std::string::npos);
  CHECK(text.find(" error a and this n=3\n") != std::string::npos);
}

TEST_CASE("a process with a name has it in each line") {
  CHECK(stderr_of([] {
          log_session session{{log_level::info, log_format::text}, "a.decode-worker-1"};
          log_info("a", "x", {{"n", 3}});
        }).find(" info a x n=3 process=a.decode-worker-1\n")
        != std::string::npos);
}

TEST_CASE("outside of a session lines are written at once") {
  CHECK(stderr_of([] { log_info("a", "early"); }).find(" info a early\n") != std::string::npos);
  CHECK(stderr_of([] { log_debug("a", "detail"); }).empty());
  CHECK(stderr_of([] {
          log_session session{{log_level::off, log_format::text}};
          log_error("a", "x");
        }).empty());
}

TEST_CASE("lines of many threads come out whole") {
  const auto text = stderr_of([] {
    log_session session{{log_level::info, log_format::json}};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([] {
        for (int i = 0; i < 500; ++i)
          log_info("a", "line", {{"i", i}});
      });
    for (auto& thread : threads)
      thread.join();
  });
  CHECK(std::count(text.begin(), text.end(), '\n') == 2'000);
  std::size_t whole = 0;
  for (std::size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    whole += text[begin] == '{' && text[end - 1] == '}';
  CHECK(whole == 2'000);
}
