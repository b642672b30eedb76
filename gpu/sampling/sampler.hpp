// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gpu/sampling/token_counts.hpp"
#include "messages/ids.hpp"
#include "messages/request/sampled_token.hpp"
#include "messages/request/sampling_options.hpp"

namespace troupe::gpu {

/// Whether every number is finite and in its range, and every token of logit_bias in the vocabulary.
bool is_valid(const sampling_options&, std::uint32_t vocabulary);

/// A token that the cuts left, with its probability up to a factor that all share.
struct candidate {
  token_id token = 0;
  /// Adjusted logit over temperature.
  float score = 0;
  /// exp(score − the largest score).
  float weight = 0;
};

/// Draws tokens from logits. Pure but for scratch memory that it keeps between calls: one per thread.
/// Deterministic: its exponential is its own, so equal logits give equal tokens on every machine.
///
/// Order: logit_bias, repetition, frequency and presence penalty, temperature, min_p, top_k, top_p. Where
/// logits tie, the lower id counts as more probable.
class sampler {
public:
  /// What is left after all cuts; their weights sum to `total`. Valid until the next call. With
  /// temperature 0 it is the one most probable token. Ordered by id if top_p is off, else by falling
  /// weight. REQUIRES: is_valid(options, logits.size()), logits not empty.
  struct distribution {
    std::span<const candidate> kept;
    double total = 0;
  };
  distribution distribute(std::span<const float> logits, const sampling_options&, const token_counts&);

  /// Draws the token that will stand at `position`. Log-probabilities are those of the raw logits.
  sampled_token sample(std::span<const float> logits, const sampling_options&, const token_counts&,
                       std::uint32_t position);

private:
  std::span<const float> adjust(std::span<const float> logits, const sampling_options&, const token_counts&);
  void fill(std::span<const float> adjusted, const sampling_options&);
  void cut_top_p(float top_p);

  std::vector<float> adjusted_;
  std::vector<float> weights_;
  std::vector<candidate> candidates_;
};

} // namespace troupe::gpu
