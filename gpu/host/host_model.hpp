// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "gpu/executor.hpp"
#include "gpu/host/compute_pool.hpp"
#include "gpu/host/host_weights.hpp"
#include "gpu/host/kernels.hpp"
#include "gpu/host/mapped_memory.hpp"

namespace troupe::gpu::host {

/// One input token of a forward pass.
struct forward_token {
  token_id token = 0;
  std::uint32_t position = 0;
  /// Blocks of its sequence in each cache group: entry i holds positions i × block_tokens and following, up to
  /// `position`. Entries before the group's first_block() of the sequence's first token here are not read.
  std::array<const block_id*, groups_max> tables{};
};

/// The forward pass of a decoder (model_config.hpp) over paged KV, without slots, sampling or queues: what
/// host_executor runs, and what tests call to see the logits of every position.
///
/// Activations and KV are f32. Every output is computed by one fixed sequence of operations (see
/// kernels.hpp), so a token's logits have the same bits whatever it is batched with, however its
/// prompt was cut, and on any number of threads.
class host_model {
public:
  /// `kv_blocks`: of each of kv_groups(). errc::resource if the KV memory cannot be mapped; errc::invalid_step for
  /// sizes of zero or beyond what a cache_group describes. REQUIRES: the CPU supports `path`; the pool outlives the
  /// last forward().
  static expected<std::unique_ptr<host_model>, error> make(std::shared_ptr<const host_weights>, compute_pool&,
                                                           simd_path path,
                                                           const std::array<std::uint32_t, groups_max>& kv_blocks,
                                                           std::uint32_t block_tokens);

  const model_config& config() const { return weights_->config(); }
  simd_path path() const { return path_; }
  std::vector<cache_group> groups() const;
  /// Nothing if there is no such group.
  region_view kv_memory(std::size_t group) const;
  compute_pool& pool() { return *pool_; }

  /// See executor_info; the path and the kernels decide the numerics, those, the weights and the layout the
  /// fingerprint.
  numerics_id numerics() const;
  model_fingerprint fingerprint() const;

  /// Floats between two rows of logits.
  std::uint32_t logits_stride() const;

  /// Computes all tokens, in order, and stores their keys and values. Row i of `logits` (logits_stride()
  /// apart) becomes the logits of tokens[wanted[i]]. Tokens of one sequence stand in ascending position;
  /// positions before the first are in the KV already.
  /// REQUIRES: a job of pool() calls it; ids, positions and tables are in range; `wanted` ascends.
  void forward(std::span<const forward_token> tokens, std::span<const std::uint32_t> wanted, std::span<float> logits);

private:
  /// Activations of one chunk: [product_tokens_max][stride], padded with zeros.
  struct matrix {
    mapped_memory memory;
    std::uint32_t stride = 0;
    float* row(std::uint32_t i) const { return memory.floats() + std::size_t{i} * stride; }
  };

  /// Below this many tokens the elementwise parts are shorter than waking a worker.
  static constexpr std::uint32_t tokens_grain = 8;
  /// Small, so that narrow matrices also split evenly.
  static constexpr std::uint32_t groups_grain = 2;

  host_model() = default;
  void forward_chunk(std::span<const forward_token> tokens);
  void embed(std::span<const forward_token> tokens);
  static matrix_product product_of(const packed_view& weights, const matrix& x, const matrix& out,
                                   std::uint32_t tokens);
  void multiply(std::span<const matrix_product> products);
  /// Rounds or splits the activations of products that share them, if one of these wants it, for all of them.
  void prepare(std::span<matrix_product> products);
  void add_bias(const matrix& to, std::uint32_t tokens, const std::vector<float>& bias);
  void compute_head(std::uint32_t rows, std::span<float> logits);
  // A part's input is normal_, its output is added to residual_.
  void normalise(std::uint32_t tokens, const std::vector<float>& weight);
  /// The product and the bias, normed if there is a norm, is added to the residual.
  void add_to_residual(const packed_view& weights, const matrix& x, std::uint32_t tokens,
                       const std::vector<float>& bias, const std::vector<float>& post_norm);
  void add_branch(std::uint32_t tokens, const std::vector<float>& post_norm);

  // host_attention.cpp
  void compute_attention(std::span<const forward_token> tokens, const host_layer&, std::uint32_t layer);
  void turn_angles(std::span<const forward_token> tokens);
  void prepare_head(const float* in, std::uint32_t token, std::uint32_t layer, const std::vector<float>& norm,
                    float* out) const;
  void store_kv(std::span<const forward_token> tokens, const host_layer&, std::uint32_t layer);
  void attend(std::span<const forward_token> tokens, const host_layer&, std::uint32_t layer);
  void attend_range(std::span<const forward_token> tokens, const host_layer&, std::uint32_t layer, std::uint32_t begin,
                    std::uint32_t end, std::uint32_t thread);

  // host_ffn.cpp
  void compute_ffn(std::uint32_t tokens, const host_layer&);
  void compute_experts(std::uint32_t tokens, const host_layer&);
  void choose_experts(std::uint32_t token);
  void compute_expert(const host_ffn&, std::span<const std::uint32_t> tokens, std::uint32_t expert);
  /// gate_ = f(gate · x) × (up · x)
  void multiply_gated(const host_ffn&, const matrix& x, std::uint32_t tokens);

  /// A cache group and its blocks.
  struct kv_group {
    cache_group shape;
    mapped_memory memory;
  };
  /// Where a layer's keys and values are.
  struct kv_place {
    std::uint32_t group = 0;
    /// Index among the group's layers.
    std::uint32_t layer = 0;
  };
  static expected<kv_group, error> make_kv_group(cache_group shape, std::uint32_t blocks);
  void place_layers();
  const kv_group& group_of(std::uint32_t layer) const { return kv_[places_[layer].group]; }
  /// First float of a kv head's keys or values in block 0.
  float* keys_of(std::uint32_t layer, std::uint32_t kv_head) const;
  float* values_of(std::uint32_t layer, std::uint32_t kv_head) const;

  std::shared_ptr<const host_weights> weights_;
  compute_pool* pool_ = nullptr; // not shared: a job must never be its last owner
  simd_path path_{};
  const kernel_table* kernels_ = nullptr;
  std::vector<kv_group> kv_;
  /// One per layer.
  std::vector<kv_place> places_;

  bool multiplies_bfloats_by_tiles() const;
  static expected<matrix, error> make_matrix(std::uint32_t rows, std::uint32_t columns);
  expected<void, error> make_scratch();
  matrix residual_, normal_, query_, key_, value_, mixed_, gate_, up_;
  /// What a part adds to the residual, where it has to be looked at first: normed, or summed over experts.
  matrix branch_;
  /// Activations of the current products, rounded: 16-bit numbers and activation_blocks.
  matrix quants_, quant_blocks_;
  /// The same split into bf16, where the path and a weight want that.
  matrix bfloats_;
  /// Columns of a row of these, of a part of it.
  std::size_t prepared_stride_ = 0;
  /// Final residuals of the rows whose logits are wanted, for one call of the head.
  matrix last_;
  /// Cosines, then sines, of each rope: [rope][2][head_width / 2].
  matrix angles_;
  /// Per thread: queries, outputs and scores of one call of the attention kernel.
  matrix head_scratch_;
  /// Consecutive tokens of one sequence, of the current chunk.
  struct token_run {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
  };
  std::vector<token_run> runs_;
  /// Angle of a pair by one position: [rope][head_width / 2].
  std::vector<double> frequencies_;

  // With experts.
  matrix router_, expert_in_, expert_out_;
  struct chosen_expert {
    std::uint32_t expert = 0;
    float weight = 0;
  };
  /// [tokens][experts.used], ascending by expert.
  std::vector<chosen_expert> chosen_;
  std::vector<std::uint32_t> expert_tokens_;
};

} // namespace troupe::gpu::host
