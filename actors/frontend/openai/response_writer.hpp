// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "actors/frontend/openai/completion_request.hpp"
#include "messages/request/finish_reason.hpp"
#include "messages/request/usage.hpp"

namespace troupe::openai {

/// What is the same in every part of one answer.
struct response_head {
  openai::api api = api::chat;
  std::string id;
  /// Unix time in seconds.
  std::int64_t created = 0;
  std::string model;
  /// Tokens come from the mock executor: the fingerprint says so.
  bool mock = false;
};

/// One finished choice of a whole answer.
struct response_choice {
  std::string_view text;
  /// A JSON object, or empty for null.
  std::string_view logprobs;
  finish_reason finish = finish_reason::none;
};

/// What a server-sent event tells of one choice.
struct response_delta {
  std::uint32_t choice = 0;
  std::string_view text;
  std::string_view logprobs;
  finish_reason finish = finish_reason::none;
};

/// Writes server-sent events of one stream. The parts that never change are made once.
class event_writer {
public:
  event_writer(const response_head&, bool with_usage);

  /// Chat: who speaks, before the first text of a choice. Completions: nothing.
  void append_role(std::string& out, std::uint32_t choice) const;
  /// REQUIRES: delta.text is well-formed UTF-8
  void append_delta(std::string& out, const response_delta& delta) const;
  void append_usage(std::string& out, const usage& total) const;

  static constexpr std::string_view done = "data: [DONE]\n\n";

private:
  void append_end(std::string& out) const;

  api api_;
  bool with_usage_;
  /// `data: {…,"choices":[`
  std::string prefix_;
};

/// The body of an answer that is not streamed. REQUIRES: texts are well-formed UTF-8
std::string whole_body(const response_head&, std::span<const response_choice>, const usage& total);

} // namespace troupe::openai
