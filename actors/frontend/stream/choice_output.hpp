// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "actors/frontend/openai/logprob_writer.hpp"
#include "messages/request/token_batch.hpp"
#include "text/detokenizer.hpp"
#include "text/stop_matcher.hpp"

namespace troupe {

/// Turns the tokens of one choice into text that may be sent. Held back is only what is not certain: an
/// unfinished character, the possible beginning of a stop string.
class choice_output {
public:
  struct options {
    openai::api api = openai::api::chat;
    text::special_output specials = text::special_output::skip;
    bool logprobs = false;
    std::vector<std::string> stops;
  };

  /// `tokenizer` must outlive it.
  choice_output(const text::tokenizer& tokenizer, std::span<const token_id> prompt, const options&);

  /// Takes the tokens in; returns what has become certain. Tokens after a stop string are not looked at.
  std::string push(const stream_tokens& tokens);

  /// Set once the text has ended.
  finish_reason finish() const { return finish_; }
  /// The text ended by a stop string, of which the worker knows nothing.
  bool stopped_here() const { return stopped_here_; }
  /// Tokens taken in, those of the stop string included.
  std::uint32_t tokens() const { return tokens_; }
  std::uint32_t cached_tokens() const { return cached_tokens_; }
  bool mixed_workers() const { return mixed_workers_; }
  /// Log-probabilities of the tokens since the last call, as a JSON object; empty: none.
  std::string take_logprobs();

private:
  std::string match(std::string text);

  const text::tokenizer* tokenizer_;
  text::incremental_detokenizer detokenizer_;
  std::optional<text::stop_matcher> matcher_;
  std::optional<openai::logprob_writer> logprobs_;
  finish_reason finish_ = finish_reason::none;
  bool stopped_here_ = false;
  std::uint32_t tokens_ = 0;
  std::uint32_t cached_tokens_ = 0;
  bool mixed_workers_ = false;
};

} // namespace troupe
