// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "actors/log/log.hpp"
#include "apps/troupe/chat/chat_loop.hpp"
#include "apps/troupe/commands.hpp"
#include "apps/troupe/foreground.hpp"

namespace troupe {

namespace {

exit_code chat_with(const running_node& node, const std::optional<std::string>& question) {
  const auto server = chat::parse_url(node.url);
  return server ? chat::run_chat({*server, question}) : exit_code::internal;
}

} // namespace

exit_code command_run(const run_options& options) {
  auto config = options.config_file.empty() ? std::optional{default_config(options.model_file)}
                                            : read_config_or_complain(options.config_file);
  if (!config)
    return exit_code::config;
  const bool person = ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0;
  if (!options.question && !person)
    return run_in_foreground(*config);
  if (!config->http) {
    std::fputs("troupe: a chat needs the section http in the configuration\n", stderr);
    return exit_code::config;
  }
  config->log.level = std::max(config->log.level, log_level::warning); // between the lines of a chat only what matters
  const log_session logging{config->log};
  return static_cast<exit_code>(run_node(
    *config, [&options](const running_node& node) { return static_cast<int>(chat_with(node, options.question)); }, -1));
}

} // namespace troupe
