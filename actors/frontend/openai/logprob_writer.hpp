// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "actors/frontend/openai/completion_request.hpp"
#include "messages/request/sampled_token.hpp"
#include "text/tokenizer.hpp"

namespace troupe::openai {

/// Collects the log-probabilities of one choice and writes them in OpenAI's two shapes: a list of
/// objects for chat, four parallel arrays for completions.
class logprob_writer {
public:
  /// `tokenizer` must outlive the writer.
  logprob_writer(api, const text::tokenizer& tokenizer);

  /// REQUIRES: the vocabulary has every token
  void add(const sampled_token&);

  /// The object for all tokens since the last call; empty if there were none.
  std::string take();

private:
  void add_chat(const sampled_token&);
  void add_completions(const sampled_token&);

  api api_;
  const text::tokenizer* tokenizer_;
  std::uint32_t count_ = 0;
  /// Chat: the list. Completions: "tokens".
  std::string tokens_;
  std::string logprobs_;
  std::string top_;
  std::string offsets_;
  /// Completions: characters before the next token.
  std::uint64_t offset_ = 0;
};

} // namespace troupe::openai
