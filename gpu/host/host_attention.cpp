// SPDX-License-Identifier: Apache-2.0
// The attention part of a layer.
#include <algorithm>
#include <array>
#include <cmath>

#include "gpu/host/host_model.hpp"
#include "gpu/host/packed_matrix.hpp"
#include "gpu/model/model_bounds.hpp"

namespace troupe::gpu::host {

namespace {

/// Turns the pairs of a head by their angles. Not fused, so one result on every path.
void rotate(const float* in, std::uint32_t width, rope_pairs pairs, const float* cosines, const float* sines,
            float* out) {
  const auto half = width / 2;
  const auto step = pairs == rope_pairs::adjacent ? 2u : 1u;
  const auto second = pairs == rope_pairs::adjacent ? 1u : half;
  for (std::uint32_t i = 0; i < half; ++i) {
    const float a = in[i * step];
    const float b = in[i * step + second];
    out[i * step] = a * cosines[i] - b * sines[i];
    out[i * step + second] = a * sines[i] + b * cosines[i];
  }
}

/// How many tokens from the first on are consecutive ones of its sequence, at most `most`.
std::uint32_t run_of(std::span<const forward_token> tokens, std::uint32_t most) {
  std::uint32_t count = 1;
  while (count < most && count < tokens.size() && tokens[count].tables == tokens[0].tables
         && tokens[count].position == tokens[0].position + count)
    ++count;
  return count;
}

} // namespace

void host_model::compute_attention(std::span<const forward_token> tokens, const host_layer& layer,
                                   std::uint32_t index) {
  const auto count = static_cast<std::uint32_t>(tokens.size());
  multiply(std::array{product_of(layer.query.weight, normal_, query_, count),
                      product_of(layer.key.weight, normal_, key_, count),
                      product_of(layer.value.weight, normal_, value_, count)});
  add_bias(query_, count, layer.query.bias);
  add_bias(key_, count, layer.key.bias);
  add_bias(value_, count, layer.value.bias);
  store_kv(tokens, layer, index);
  attend(tokens, layer, index);
  add_to_residual(layer.attention_out.weight, mixed_, count, layer.attention_out.bias, layer.post_attention_norm);
}

void host_model::turn_angles(std::span<const forward_token> tokens) {
  const auto pairs = config().head_width / 2;
  pool_->parallel_for(static_cast<std::uint32_t>(tokens.size()), tokens_grain, [&](auto begin, auto end, auto) {
    for (auto t = begin; t < end; ++t) {
      auto* out = angles_.row(t);
      for (std::size_t i = 0; i < frequencies_.size(); ++i) {
        const auto angle = tokens[t].position * frequencies_[i];
        const auto at = i / pairs * 2 * pairs + i % pairs;
        out[at] = static_cast<float>(std::cos(angle));
        out[at + pairs] = static_cast<float>(std::sin(angle));
      }
    }
  });
}

/// One head of a query or key as attention sees it: normed, then turned. In place, too.
void host_model::prepare_head(const float* in, std::uint32_t token, std::uint32_t layer, const std::vector<float>& norm,
                              float* out) const {
  const auto& c = config();
  if (!norm.empty()) {
    kernels_->rms_norm(in, norm.data(), out, c.head_width, c.head_width, c.rms_epsilon);
    in = out;
  }
  const auto rope = c.layers[layer].rope;
  if (rope == no_rope) {
    if (in != out)
      std::copy_n(in, c.head_width, out);
    return;
  }
  const auto* cosines = angles_.row(token) + std::size_t{rope} * c.head_width;
  rotate(in, c.head_width, c.pairs, cosines, cosines + c.head_width / 2, out);
}

float* host_model::keys_of(std::uint32_t layer, std::uint32_t kv_head) const {
  const auto& [shape, memory] = group_of(layer);
  return reinterpret_cast<float*>(memory.data() + places_[layer].layer * shape.keys.layer + kv_head * shape.keys.head);
}

float* host_model::values_of(std::uint32_t layer, std::uint32_t kv_head) const {
  const auto& [shape, memory] = group_of(layer);
  return reinterpret_cast<float*>(memory.data() + shape.values_offset + places_[layer].layer * shape.values.layer
                                  + kv_head * shape.values.head);
}

void host_model::store_kv(std::span<const forward_token> tokens, const host_layer& weights, std::uint32_t layer) {
  const auto& c = config();
  const auto group = places_[layer].group;
  const auto& shape = kv_[group].shape;
  const auto key_stride = shape.keys.dim / sizeof(float), value_stride = shape.values.token / sizeof(float);
  pool_->parallel_for(static_cast<std::uint32_t>(tokens.size()), tokens_grain, [&](auto begin, auto end, auto) {
    for (auto t = begin; t < end; ++t) {
      const auto position = tokens[t].position;
      const auto block = tokens[t].tables[group][position / shape.block_tokens] * shape.block_bytes / sizeof(float);
      const auto in_block = position % shape.block_tokens;
      for (std::uint32_t h = 0; h < c.kv_heads; ++h) {
        float* key = key_.row(t) + h * c.head_width;
        prepare_head(key, t, layer, weights.key_norm, key);
        float* column = keys_of(layer, h) + block + in_block;
        for (std::uint32_t i = 0; i < c.head_width; ++i)
          column[i * key_stride] = key[i];
        std::copy_n(value_.row(t) + h * c.head_width, c.head_width,
                    values_of(layer, h) + block + in_block * value_stride);
      }
    }
  });
}

void host_model::attend(std::span<const forward_token> tokens, const host_layer& weights, std::uint32_t layer) {
  // Consecutive tokens share passes over keys and values.
  const auto together = attention_rows_max / std::min(config().heads_per_kv(), attention_heads_max);
  runs_.clear();
  for (std::uint32_t t = 0; t < tokens.size(); t += runs_.back().count)
    runs_.push_back({t, run_of(tokens.subspan(t), together)});
  // Items are (kv head, run, query head of the kv head): one token splits evenly over threads by query heads, though
  // keys are then read twice, and many tokens run along one kv head, whose keys stay in the cache.
  const auto items = config().heads * static_cast<std::uint32_t>(runs_.size());
  const auto grain = tokens.size() > 1 ? config().heads_per_kv() : (items + pool_->threads() - 1) / pool_->threads();
  pool_->parallel_for(
    items, grain, [&](auto begin, auto end, auto thread) { attend_range(tokens, weights, layer, begin, end, thread); });
}

void host_model::attend_range(std::span<const forward_token> tokens, const host_layer& weights, std::uint32_t layer,
                              std::uint32_t begin, std::uint32_t end, std::uint32_t thread) {
  const auto& c = config();
  const auto shared = c.heads_per_kv();
  const auto runs = static_cast<std::uint32_t>(runs_.size());
  const auto head_padded = padded(c.head_width);
  const auto group = places_[layer].group;
  const auto& shape = kv_[group].shape;
  float* queries = head_scratch_.row(thread);
  float* outs = queries + attention_rows_max * head_padded;
  std::array<float, bounds::head_width_max> head;
  attention a{.query = queries,
              .out = outs,
              .width = head_padded,
              .block_stride = shape.block_bytes / sizeof(float),
              .key_stride = shape.keys.dim / sizeof(float),
              .value_stride = shape.values.token / sizeof(float),
              .block_tokens = shape.block_tokens,
              .scale = c.attention_scale,
              .scores = outs + attention_rows_max * head_padded};
  if (c.layers[layer].window != 0)
    a.window = c.layers[layer].window;
  for (auto item = begin; item < end; item += a.heads) {
    const auto kv_head = item / shared / runs;
    const auto run = runs_[item / shared % runs];
    const auto first_head = kv_head * shared + item % shared;
    a.heads = std::min({shared - item % shared, end - item, attention_heads_max});
    a.tokens = run.count;
    a.keys = keys_of(layer, kv_head);
    a.values = values_of(layer, kv_head);
    a.table = tokens[run.first].tables[group];
    a.positions = tokens[run.first].position + 1;
    const auto for_each_row = [&](auto f) {
      for (std::uint32_t i = 0; i < a.tokens * a.heads; ++i)
        f(run.first + i / a.heads, (first_head + i % a.heads) * c.head_width, i);
    };
    for_each_row([&](std::uint32_t t, std::uint32_t column, std::uint32_t row) {
      prepare_head(query_.row(t) + column, t, layer, weights.query_norm, head.data());
      for (std::uint32_t i = 0; i < c.head_width; ++i)
        queries[i * attention_rows_max + row] = head[i];
    });
    kernels_->attend(a);
    for_each_row([&](std::uint32_t t, std::uint32_t column, std::uint32_t row) {
      std::copy_n(outs + row * head_padded, c.head_width, mixed_.row(t) + column);
    });
  }
}

} // namespace troupe::gpu::host
