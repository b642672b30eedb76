// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "messages/ids.hpp"

namespace troupe {

struct token_logprob {
  token_id token = 0;
  float logprob = 0;

  friend bool operator==(const token_logprob&, const token_logprob&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, token_logprob& x) {
  return f.object(x).fields(f.field("token", x.token), f.field("logprob", x.logprob));
}

/// A token that an executor drew.
struct sampled_token {
  token_id token = 0;
  /// Natural logarithm of its probability by the raw logits; 0 unless asked for.
  float logprob = 0;
  /// The most probable tokens, most probable first; empty unless asked for.
  std::vector<token_logprob> top;

  friend bool operator==(const sampled_token&, const sampled_token&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, sampled_token& x) {
  return f.object(x).fields(f.field("token", x.token), f.field("logprob", x.logprob), f.field("top", x.top));
}

} // namespace troupe
