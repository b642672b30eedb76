// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/raw_http_client.hpp"

namespace troupe::test {

/// A client that streams one completion and looks at what its socket brings, event by event.
class stream_client {
public:
  /// Sends the request; `body` is the JSON of /v1/completions.
  stream_client(std::uint16_t port, std::string_view body);

  /// Reads until that many characters of text have come; false if the stream or the time ends first.
  bool read_text(std::size_t characters, std::chrono::milliseconds = std::chrono::seconds{20});
  /// Reads to [DONE]; false if the connection or the time ends first.
  bool read_to_end(std::chrono::milliseconds = std::chrono::seconds{20});
  /// Closes the connection, as a client that goes away.
  void close() { http_.close(); }

  const std::string& text() const { return text_; }
  const std::string& finish() const { return finish_; }
  /// The message of an error event; empty if there was none.
  const std::string& failure() const { return failure_; }
  bool done() const { return done_; }
  /// When the first and the last character came.
  std::chrono::steady_clock::time_point first_text_at() const { return first_text_at_; }
  std::chrono::steady_clock::time_point last_text_at() const { return last_text_at_; }

private:
  bool read_some(std::chrono::steady_clock::time_point until);
  void take_event(std::string_view data);

  raw_http_client http_;
  std::string unread_;
  std::string text_, finish_, failure_;
  bool done_ = false;
  std::chrono::steady_clock::time_point first_text_at_, last_text_at_;
};

/// Body of a streamed, greedy completion of that many prompt tokens. Equal numbers make equal prompts.
std::string stream_body(std::uint32_t number, std::uint32_t prompt_tokens, std::uint32_t output_tokens);

} // namespace troupe::test
