// SPDX-License-Identifier: Apache-2.0
// The feed-forward part of a layer, and the mixture of experts in its place.
#include <algorithm>
#include <array>
#include <cmath>

#include "gpu/host/host_model.hpp"

namespace troupe::gpu::host {

void host_model::multiply_gated(const host_ffn& by, const matrix& x, std::uint32_t tokens) {
  std::array products{product_of(by.gate, x, gate_, tokens), product_of(by.up, x, up_, tokens)};
  prepare(products);
  const auto function = config().gate == gate_function::silu ? kernels_->swiglu : kernels_->geglu;
  pool_->parallel_for(by.gate.groups(), groups_grain, [&](auto begin, auto end, auto) {
    for (auto part : products) {
      part.group_begin = begin;
      part.group_end = end;
      kernels_->multiply(part);
    }
    for (std::uint32_t t = 0; t < tokens; ++t)
      function(gate_.row(t) + begin * lanes, up_.row(t) + begin * lanes, (end - begin) * lanes);
  });
}

void host_model::compute_ffn(std::uint32_t tokens, const host_layer& layer) {
  const auto& ffn = layer.ffn.front();
  multiply_gated(ffn, normal_, tokens);
  add_to_residual(ffn.down, gate_, tokens, {}, layer.post_ffn_norm);
}

/// Experts in ascending order, each for the tokens that chose it: so a token's sum has one order, whatever it is
/// batched with.
void host_model::compute_experts(std::uint32_t tokens, const host_layer& layer) {
  const auto& c = config();
  multiply(std::array{product_of(layer.router, normal_, router_, tokens)});
  pool_->parallel_for(tokens, tokens_grain, [&](auto begin, auto end, auto) {
    for (auto t = begin; t < end; ++t) {
      choose_experts(t);
      std::fill_n(branch_.row(t), branch_.stride, 0.0f);
    }
  });
  for (std::uint32_t e = 0; e < c.experts.count; ++e) {
    expert_tokens_.clear();
    for (std::uint32_t t = 0; t < tokens; ++t)
      for (std::uint32_t i = 0; i < c.experts.used; ++i)
        if (chosen_[t * c.experts.used + i].expert == e)
          expert_tokens_.push_back(t);
    if (!expert_tokens_.empty())
      compute_expert(layer.ffn[e], expert_tokens_, e);
  }
  add_branch(tokens, layer.post_ffn_norm);
}

/// Softmax over all experts, then the largest; of equal ones the first.
void host_model::choose_experts(std::uint32_t token) {
  constexpr float taken = -1; // no exponential is negative
  const auto& e = config().experts;
  float* scores = router_.row(token);
  const float largest = *std::max_element(scores, scores + e.count);
  float sum = 0;
  for (std::uint32_t i = 0; i < e.count; ++i)
    sum += scores[i] = std::exp(scores[i] - largest);
  const std::span chosen{chosen_.data() + std::size_t{token} * e.used, e.used};
  float chosen_sum = 0;
  for (auto& one : chosen) {
    // Each expert once, even if no score is a number: a token has one place in an expert's batch.
    auto best = e.count;
    for (std::uint32_t i = 0; i < e.count; ++i)
      if (scores[i] != taken && (best == e.count || scores[i] > scores[best]))
        best = i;
    one = {best, scores[best] / sum};
    chosen_sum += one.weight;
    scores[best] = taken;
  }
  if (e.normalised)
    for (auto& one : chosen)
      one.weight /= chosen_sum;
}

void host_model::compute_expert(const host_ffn& expert, std::span<const std::uint32_t> tokens, std::uint32_t index) {
  const auto& c = config();
  const auto count = static_cast<std::uint32_t>(tokens.size());
  for (std::uint32_t i = 0; i < count; ++i)
    std::copy_n(normal_.row(tokens[i]), normal_.stride, expert_in_.row(i));
  multiply_gated(expert, expert_in_, count);
  multiply(std::array{product_of(expert.down, gate_, expert_out_, count)});
  pool_->parallel_for(count, tokens_grain, [&](auto begin, auto end, auto) {
    for (auto i = begin; i < end; ++i) {
      const std::span chosen{chosen_.data() + std::size_t{tokens[i]} * c.experts.used, c.experts.used};
      const auto weight = std::ranges::find(chosen, index, &chosen_expert::expert)->weight;
      for (std::uint32_t k = 0; k < c.width; ++k)
        branch_.row(tokens[i])[k] += weight * expert_out_.row(i)[k];
    }
  });
}

} // namespace troupe::gpu::host
