// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/foreground.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "actors/config/read_config.hpp"
#include "actors/log/log.hpp"
#include "apps/troupe/chat/signal_pipe.hpp"
#include "apps/troupe/chat/wait.hpp"

namespace troupe {

namespace {

// In single quotes, for a POSIX shell.
std::string shell_word(std::string_view text) {
  std::string result = "'";
  for (char c : text)
    result += c == '\'' ? std::string{"'\\''"} : std::string{c};
  return result + "'";
}

std::string curl_line(const running_node& node) {
  const nlohmann::json body{{"model", node.model_name},
                            {"messages", {{{"role", "user"}, {"content", "What is the capital of France?"}}}},
                            {"temperature", 0},
                            {"max_tokens", 64}};
  return "curl " + node.url + "/v1/chat/completions -H 'Content-Type: application/json' -d "
         + shell_word(body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print_addresses(const running_node& node) {
  if (!node.url.empty())
    std::printf("%s is ready at %s\n%s\n", node.model_name.c_str(), node.url.c_str(), curl_line(node).c_str());
  else
    std::printf("%s is ready\n", node.model_name.c_str());
  if (!node.node_plane.empty())
    std::printf("other nodes find this one at %s\n", node.node_plane.c_str());
  if (!node.admin_url.empty())
    std::printf("its admin listener is at %s\n", node.admin_url.c_str());
  std::fflush(stdout);
}

exit_code wait_for_the_end(const running_node& node, const chat::signal_pipe& signals) {
  const auto woken = chat::wait_for(node.ended_fd, chat::direction::read, signals.fd(), chat::deadline::max());
  if (woken == chat::wake::failed)
    return exit_code::internal;
  if (woken == chat::wake::interrupted)
    log_info("node", "ending: asked by a signal; a second one ends at once");
  return exit_code::ok;
}

bool is_asked(const chat::signal_pipe& signals) {
  return chat::wait_for(-1, chat::direction::read, signals.fd(), std::chrono::steady_clock::now())
         == chat::wake::interrupted;
}

} // namespace

std::optional<node_config> read_config_or_complain(const std::filesystem::path& file) {
  auto config = read_config(file);
  if (config)
    return std::move(*config);
  std::fputs(to_string(config.error()).c_str(), stderr);
  return std::nullopt;
}

exit_code run_until_signalled(const node_config& config, const announcer& announce) {
  chat::signal_pipe signals;
  if (!signals.open()) {
    log_error("node", "no pipe for signals could be had");
    return exit_code::resource;
  }
  // The second one ends the process at once, also while it starts. One that comes during a drain which was asked for by
  // POST is the first: a process manager still sends it.
  signals.catch_one_more();
  auto until_asked = [&](const running_node& node) {
    if (!is_asked(signals))
      announce(node);
    return static_cast<int>(wait_for_the_end(node, signals));
  };
  return static_cast<exit_code>(run_node(config, until_asked, signals.fd()));
}

exit_code run_in_foreground(const node_config& config) {
  const log_session logging{config.log};
  return run_until_signalled(config, print_addresses);
}

} // namespace troupe
