// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cerrno>
#include <string>
#include <thread>

#include "actors/log/log.hpp"
#include "actors/node/spawned_process.hpp"
#include "apps/troupe/commands.hpp"
#include "apps/troupe/foreground.hpp"

namespace troupe {

namespace {

using descriptors = spawned_process_descriptors;

/// Without its parent nobody restarts or ends this process, so it goes at once, as the parent did. The signal that the
/// kernel sends at a parent's death would not do: it comes at the death of the thread that made this process.
void end_with_the_parent() {
  char nothing = 0;
  while (::read(descriptors::lifeline, &nothing, 1) < 0 && errno == EINTR)
    continue;
  ::_exit(static_cast<int>(exit_code::peer));
}

} // namespace

exit_code command_isolated_worker(const std::string& name) {
  std::thread{end_with_the_parent}.detach();
  const auto config = read_config_or_complain("/proc/self/fd/" + std::to_string(descriptors::text));
  ::close(descriptors::text);
  if (!config)
    return exit_code::config;
  const log_session logging{config->log, name};
  return run_until_signalled(*config, [](const running_node& node) {
    if (!node.admin_url.empty())
      log_info("admin", "listening", {{"url", node.admin_url}});
  });
}

} // namespace troupe
