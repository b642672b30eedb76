// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "apps/troupe/chat/chat_loop.hpp"
#include "apps/troupe/commands.hpp"

namespace troupe {

exit_code command_chat(const chat_command_options& options) {
  const auto server = chat::parse_url(options.url);
  if (!server) {
    std::fprintf(stderr, "troupe: '%s' is not a URL like http://127.0.0.1:8000\n", options.url.c_str());
    return exit_code::usage;
  }
  return chat::run_chat({*server, options.question});
}

} // namespace troupe
