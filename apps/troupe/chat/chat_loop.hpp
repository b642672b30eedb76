// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "actors/node/exit_code.hpp"
#include "apps/troupe/chat/url.hpp"

namespace troupe::chat {

struct chat_options {
  url server;
  /// Answer this and end; otherwise questions are lines of standard input.
  std::optional<std::string> question;
};

/// A conversation with the server's first model. At a terminal it prompts with "> ", Ctrl-C stops an
/// answer, Ctrl-D or /exit ends, /reset forgets the conversation; otherwise each line of standard input is
/// a question and the first failure ends. Takes SIGINT and SIGTERM while it runs (signal_pipe).
exit_code run_chat(const chat_options&);

} // namespace troupe::chat
