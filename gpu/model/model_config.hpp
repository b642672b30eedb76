// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace troupe::gpu {

/// Which elements of a head rope turns together.
enum class rope_pairs : std::uint8_t {
  /// (2i, 2i + 1), as llama.cpp stores Llama's projections.
  adjacent,
  /// (i, i + width / 2), as transformers stores all.
  halves,
};

/// The function of the feed-forward part's gate.
enum class gate_function : std::uint8_t {
  silu,
  /// GELU, approximated with tanh.
  gelu_tanh,
};

/// How a position becomes angles: pair i turns by position × base^(−2i / head_width) / divisors[i].
struct rope_config {
  double base = 10'000;
  /// Empty: all 1.
  std::vector<double> divisors;
};

inline constexpr std::uint32_t no_rope = UINT32_MAX;

/// What differs between the layers of a model.
struct layer_config {
  /// Tokens that a token sees, itself included; 0: all before it.
  std::uint32_t window = 0;
  /// Index of model_config::ropes, or no_rope.
  std::uint32_t rope = 0;
};

/// A mixture of experts in the place of each feed-forward part; count 0: none.
struct expert_config {
  std::uint32_t count = 0;
  /// Of them per token.
  std::uint32_t used = 0;
  std::uint32_t hidden = 0;
  /// Whether the weights of the chosen ones are made to sum to 1.
  bool normalised = false;
};

/// A decoder of the Llama family in numbers, whatever file they come from. Checked: see describe_model.
///
/// A layer: x += [norm](out · attention(q, k, v of norm(x))), x += [norm](feed_forward(norm(x))), where norms in
/// brackets are there with post_norms, and q and k are normed by head with qk_norms.
struct model_config {
  /// One of known_architectures().
  std::string architecture;
  std::uint32_t vocabulary = 0;
  std::uint32_t context_tokens = 0;
  /// Width of the residual stream.
  std::uint32_t width = 0;
  std::uint32_t heads = 0;
  /// Divides heads; heads / kv_heads query heads share one key and value.
  std::uint32_t kv_heads = 0;
  /// Elements of one head; even, since rope turns pairs.
  std::uint32_t head_width = 0;
  /// Width of the feed-forward part; with experts unused.
  std::uint32_t hidden = 0;
  std::vector<layer_config> layers;
  std::vector<rope_config> ropes;
  rope_pairs pairs = rope_pairs::halves;
  gate_function gate = gate_function::silu;
  expert_config experts;
  bool qk_norms = false;
  bool post_norms = false;
  /// Norm weights are stored less one.
  bool norms_less_one = false;
  float rms_epsilon = 0;
  /// Of rows of the embedding; 1 for most.
  float embedding_scale = 1;
  /// Of products of query and key.
  float attention_scale = 0;

  std::uint32_t heads_per_kv() const { return heads / kv_heads; }
  std::uint32_t query_width() const { return heads * head_width; }
  std::uint32_t kv_width() const { return kv_heads * head_width; }
};

} // namespace troupe::gpu
