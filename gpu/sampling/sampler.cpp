// SPDX-License-Identifier: Apache-2.0
#include "gpu/sampling/sampler.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "gpu/sampling/generator.hpp"

namespace troupe::gpu {

namespace {

/// e^x for x ≤ 0, to about 1e-7 of itself; 0 below −87. Not std::exp: its bits depend on the CPU, and a
/// vocabulary of them must vectorise. Cody-Waite reduction and Taylor's series of degree 7.
inline float exponential(float x) {
  const float clamped = x < -87.0f ? -87.0f : x;
  constexpr float rounder = 0x1.8p23f; // adding it rounds to an integer in the low mantissa bits
  const float shifted = clamped * 0x1.715476p0f + rounder;
  const float n = shifted - rounder;
  const float r = (clamped - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
  float p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const float power = std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) << 23) + 0x3f800000u);
  return x < -87.0f ? 0.0f : p * power;
}

/// out[i] = e^(x[i] − maximum); returns their sum.
double exponentials(std::span<const float> x, float maximum, std::vector<float>& out) {
  out.resize(x.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    out[i] = exponential(x[i] - maximum);
  double sum = 0;
  for (float e : out)
    sum += e;
  return sum;
}

/// The largest, the lower id on a tie.
token_id argmax(std::span<const float> x) {
  token_id best = 0;
  for (token_id i = 1; i < x.size(); ++i)
    if (x[i] > x[best])
      best = i;
  return best;
}

bool more_probable(const candidate& a, const candidate& b) {
  return a.score != b.score ? a.score > b.score : a.token < b.token;
}

double total_weight(std::span<const candidate> candidates) {
  double sum = 0;
  for (const auto& c : candidates)
    sum += c.weight;
  return sum;
}

token_id draw(const sampler::distribution& d, double uniform) {
  const double target = uniform * d.total;
  double sum = 0;
  token_id last = d.kept.front().token; // for a sum that rounding leaves below the target
  for (const auto& c : d.kept) {
    if (c.weight > 0)
      last = c.token;
    sum += c.weight;
    if (sum > target)
      return c.token;
  }
  return last;
}

/// The `count` largest logits, largest first.
std::vector<token_logprob> top_logprobs(std::span<const float> logits, std::size_t count, double log_sum) {
  const auto better = [](const token_logprob& a, const token_logprob& b) {
    return a.logprob != b.logprob ? a.logprob > b.logprob : a.token < b.token;
  };
  std::vector<token_logprob> top; // holds logits until the end
  for (token_id i = 0; i < logits.size() && count > 0; ++i) {
    const token_logprob entry{i, logits[i]};
    if (top.size() == count) {
      if (!better(entry, top.back()))
        continue;
      top.pop_back();
    }
    top.insert(std::ranges::upper_bound(top, entry, better), entry);
  }
  for (auto& entry : top)
    entry.logprob = static_cast<float>(entry.logprob - log_sum);
  return top;
}

} // namespace

bool is_valid(const sampling_options& o, std::uint32_t vocabulary) {
  const auto in_unit = [](float x) { return x >= 0 && x <= 1; };
  return std::isfinite(o.temperature) && o.temperature >= 0 && in_unit(o.top_p) && in_unit(o.min_p)
         && std::isfinite(o.presence_penalty) && std::isfinite(o.frequency_penalty)
         && std::isfinite(o.repetition_penalty) && o.repetition_penalty > 0
         && o.top_logprobs <= sampling_options::logprobs_max && o.logit_bias.size() <= vocabulary
         && std::ranges::all_of(o.logit_bias,
                                [&](const auto& b) { return b.token < vocabulary && std::isfinite(b.bias); });
}

std::span<const float> sampler::adjust(std::span<const float> logits, const sampling_options& o,
                                       const token_counts& counts) {
  if (o.logit_bias.empty() && !has_penalties(o))
    return logits;
  adjusted_.assign(logits.begin(), logits.end());
  for (const auto& [token, bias] : o.logit_bias)
    adjusted_[token] += bias;
  if (!has_penalties(o))
    return adjusted_;
  for (const auto& [token, count] : counts.all()) {
    auto& x = adjusted_[token];
    x = x > 0 ? x / o.repetition_penalty : x * o.repetition_penalty;
    x -= o.frequency_penalty * static_cast<float>(count.in_output);
    if (count.in_output > 0)
      x -= o.presence_penalty;
  }
  return adjusted_;
}

void sampler::fill(std::span<const float> adjusted, const sampling_options& o) {
  candidates_.clear();
  const float maximum = adjusted[argmax(adjusted)] / o.temperature;
  const float least = o.min_p > 0 ? maximum + std::log(o.min_p) : -std::numeric_limits<float>::infinity();
  adjusted_.resize(adjusted.size()); // may be `adjusted` itself
  for (std::size_t i = 0; i < adjusted.size(); ++i)
    adjusted_[i] = adjusted[i] / o.temperature;
  exponentials(adjusted_, maximum, weights_);
  candidates_.reserve(adjusted_.size());
  for (token_id i = 0; i < adjusted_.size(); ++i)
    if (adjusted_[i] >= least)
      candidates_.push_back({i, adjusted_[i], weights_[i]});
  if (candidates_.empty()) // logits that are no numbers
    candidates_.push_back({argmax(adjusted), maximum, 1});
}

void sampler::cut_top_p(float top_p) {
  const double wanted = top_p * total_weight(candidates_);
  // Sorting a vocabulary is dear and the head of the distribution is small: try ever larger heads.
  auto end = candidates_.begin();
  for (float least : {0x1p-6f, 0x1p-12f, 0x1p-24f}) {
    end = std::partition(candidates_.begin(), candidates_.end(), [&](const candidate& c) { return c.weight >= least; });
    if (total_weight({candidates_.begin(), end}) >= wanted * (1 + 1e-9))
      break;
    end = candidates_.end();
  }
  std::sort(candidates_.begin(), end, more_probable);
  double sum = 0;
  std::size_t kept = 0;
  do
    sum += candidates_[kept++].weight;
  while (sum < wanted && kept < static_cast<std::size_t>(end - candidates_.begin()));
  candidates_.resize(kept);
}

sampler::distribution sampler::distribute(std::span<const float> logits, const sampling_options& o,
                                          const token_counts& counts) {
  const auto adjusted = adjust(logits, o, counts);
  if (o.temperature == 0) {
    const auto best = argmax(adjusted);
    candidates_.assign(1, candidate{best, adjusted[best], 1});
    return {candidates_, 1};
  }
  fill(adjusted, o);
  if (o.top_k > 0 && o.top_k < candidates_.size()) {
    std::nth_element(candidates_.begin(), candidates_.begin() + (o.top_k - 1), candidates_.end(), more_probable);
    candidates_.resize(o.top_k);
    std::ranges::sort(candidates_, {}, &candidate::token);
  }
  if (o.top_p < 1)
    cut_top_p(o.top_p);
  return {candidates_, total_weight(candidates_)};
}

sampled_token sampler::sample(std::span<const float> logits, const sampling_options& o, const token_counts& counts,
                              std::uint32_t position) {
  sampled_token result;
  result.token = draw(distribute(logits, o, counts), uniform_at(o.seed, o.choice, position));
  if (o.logprobs) {
    const float maximum = logits[argmax(logits)];
    const double log_sum = maximum + std::log(exponentials(logits, maximum, weights_));
    result.logprob = static_cast<float>(logits[result.token] - log_sum);
    result.top = top_logprobs(logits, o.top_logprobs, log_sum);
  }
  return result;
}

} // namespace troupe::gpu
