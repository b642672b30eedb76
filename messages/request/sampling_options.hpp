// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "messages/ids.hpp"

namespace troupe {

/// Added to a token's raw logit before anything else.
struct logit_bias {
  token_id token = 0;
  float bias = 0;

  friend bool operator==(const logit_bias&, const logit_bias&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, logit_bias& x) {
  return f.object(x).fields(f.field("token", x.token), f.field("bias", x.bias));
}

/// How the next token is drawn. Applied in this order: logit_bias, penalties, temperature, min_p,
/// top_k, top_p. Defaults are OpenAI's. The generator is keyed by (seed, choice, position), so a
/// sequence that is replayed elsewhere draws the same tokens.
struct sampling_options {
  /// 0 is greedy: the largest logit, the lower token id on a tie.
  float temperature = 1;
  /// Keeps the smallest set of most probable tokens whose probabilities sum to at least this. 1: off.
  float top_p = 1;
  /// Keeps tokens at least this probable relative to the most probable one. 0: off.
  float min_p = 0;
  /// Keeps this many tokens. 0: off.
  std::uint32_t top_k = 0;
  /// Subtracted from the logit of every token in the output so far.
  float presence_penalty = 0;
  /// Subtracted from a token's logit once for each time that it is in the output so far.
  float frequency_penalty = 0;
  /// Divides positive and multiplies negative logits of tokens in prompt or output. 1: off.
  float repetition_penalty = 1;
  std::uint64_t seed = 0;
  /// Which of a request's n choices this is.
  std::uint32_t choice = 0;
  std::vector<troupe::logit_bias> logit_bias;
  /// Report the log-probability of each drawn token, by the raw logits.
  bool logprobs = false;
  /// And of this many most probable tokens beside it; at most logprobs_max.
  std::uint8_t top_logprobs = 0;

  static constexpr std::uint8_t logprobs_max = 20;

  friend bool operator==(const sampling_options&, const sampling_options&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, sampling_options& x) {
  return f.object(x).fields(f.field("temperature", x.temperature), f.field("top_p", x.top_p), f.field("min_p", x.min_p),
                            f.field("top_k", x.top_k), f.field("presence_penalty", x.presence_penalty),
                            f.field("frequency_penalty", x.frequency_penalty),
                            f.field("repetition_penalty", x.repetition_penalty), f.field("seed", x.seed),
                            f.field("choice", x.choice), f.field("logit_bias", x.logit_bias),
                            f.field("logprobs", x.logprobs), f.field("top_logprobs", x.top_logprobs));
}

} // namespace troupe
