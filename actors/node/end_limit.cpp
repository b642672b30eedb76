// SPDX-License-Identifier: Apache-2.0
#include "actors/node/end_limit.hpp"

#include <unistd.h>

#include <string>
#include <system_error>

#include "actors/log/log.hpp"

namespace troupe {

end_limit::~end_limit() {
  {
    std::lock_guard lock{mutex_};
    ended_ = true;
  }
  ended_early_.notify_all();
  if (watcher_.joinable())
    watcher_.join();
}

void end_limit::start(int exit_code) {
  if (watcher_.joinable())
    return;
  try {
    watcher_ = std::thread{[this, exit_code] {
      std::unique_lock lock{mutex_};
      if (ended_early_.wait_for(lock, limit_, [this] { return ended_; }))
        return;
      write_log_at_once();
      log_error("node", "an actor does not end, so the process does without it",
                {{"waited_ms", std::to_string(limit_.count())}, {"exit_code", std::to_string(exit_code)}});
      ::_exit(exit_code);
    }};
  } catch (const std::system_error& e) {
    log_warning("node", "the end has no time limit", {{"why", e.what()}});
  }
}

} // namespace troupe
