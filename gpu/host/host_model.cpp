// SPDX-License-Identifier: Apache-2.0
#include "gpu/host/host_model.hpp"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "gpu/host/host_executor.hpp"
#include "gpu/host/packed_matrix.hpp"

namespace troupe::gpu::host {

namespace {

/// Below this many tokens the elementwise parts are shorter than waking a worker.
constexpr std::uint32_t tokens_grain = 8;
/// Small, so that narrow matrices also split evenly; gemv takes at least two groups at once.
constexpr std::uint32_t groups_grain = 2;

constexpr std::uint32_t key_part = 0;
constexpr std::uint32_t value_part = 1;

/// Turns pairs (2i, 2i + 1) by the position's angles. Not fused, so one result on every path.
void rotate(const float* in, std::uint32_t width, std::span<const float> cosines, std::span<const float> sines,
            float* out) {
  for (std::uint32_t i = 0; i < width / 2; ++i) {
    const float a = in[2 * i];
    const float b = in[2 * i + 1];
    out[2 * i] = a * cosines[i] - b * sines[i];
    out[2 * i + 1] = a * sines[i] + b * cosines[i];
  }
}

cache_group make_group(const llama_config& config, std::uint32_t blocks, std::uint32_t block_tokens) {
  cache_group group;
  group.layers = static_cast<std::uint16_t>(config.layers);
  group.block_tokens = static_cast<std::uint16_t>(block_tokens);
  group.blocks = blocks;
  // A head's width is padded with zeros to whole vectors.
  auto stride = static_cast<std::int64_t>(sizeof(float));
  group.stride[4] = stride;
  group.stride[3] = stride *= padded(config.head_width);
  group.stride[2] = stride *= block_tokens;
  group.stride[1] = stride *= config.kv_heads;
  group.stride[0] = stride *= 2;
  group.block_bytes = static_cast<std::uint64_t>(stride) * config.layers;
  return group;
}

} // namespace

std::uint64_t kv_block_bytes(const host_weights& weights, std::uint32_t block_tokens) {
  return make_group(weights.config(), 1, block_tokens).block_bytes;
}

expected<std::unique_ptr<host_model>, error> host_model::make(std::shared_ptr<const host_weights> weights,
                                                              compute_pool& pool, simd_path path,
                                                              std::uint32_t kv_blocks, std::uint32_t block_tokens) {
  if (kv_blocks == 0 || block_tokens == 0 || block_tokens > std::numeric_limits<std::uint16_t>::max())
    return fail(errc::invalid_step, std::to_string(kv_blocks) + " KV blocks of " + std::to_string(block_tokens)
                                      + " tokens: both must be at least 1, a block at most 65535 tokens");
  std::unique_ptr<host_model> model{new host_model};
  model->group_ = make_group(weights->config(), kv_blocks, block_tokens);
  if (model->group_.block_bytes > std::numeric_limits<std::int64_t>::max() / kv_blocks)
    return fail(errc::resource, std::to_string(kv_blocks) + " KV blocks do not fit the address space");
  // A file, so that other processes can write into it; where there are none, transports copy through sockets.
  const auto kv_bytes = model->group_.block_bytes * kv_blocks;
  auto kv = mapped_memory::make_shared(kv_bytes);
  if (!kv)
    kv = mapped_memory::make(kv_bytes);
  if (!kv)
    return unexpected{kv.error()};
  model->kv_ = std::move(*kv);
  model->weights_ = std::move(weights);
  model->pool_ = &pool;
  model->path_ = path;
  model->kernels_ = &kernels_of(path);
  if (auto ok = model->make_scratch(); !ok)
    return unexpected{ok.error()};
  return model;
}

expected<host_model::matrix, error> host_model::make_matrix(std::uint32_t rows, std::uint32_t columns) {
  auto memory = mapped_memory::make(std::uint64_t{rows} * padded(columns) * sizeof(float));
  if (!memory)
    return unexpected{memory.error()};
  return matrix{std::move(*memory), padded(columns)};
}

expected<void, error> host_model::make_scratch() {
  const auto& c = config();
  score_stride_ = padded(c.context_tokens);
  const auto head_scratch = attention_heads_max * (2 * padded(c.head_width) + score_stride_);
  struct wish {
    matrix& out;
    std::uint32_t rows;
    std::uint32_t columns;
  };
  const std::array wishes{
    wish{residual_, product_tokens_max, c.width},      wish{normal_, product_tokens_max, c.width},
    wish{query_, product_tokens_max, c.query_width()}, wish{key_, product_tokens_max, c.kv_width()},
    wish{value_, product_tokens_max, c.kv_width()},    wish{mixed_, product_tokens_max, c.query_width()},
    wish{gate_, product_tokens_max, c.hidden},         wish{up_, product_tokens_max, c.hidden},
    wish{last_, product_tokens_max, c.width},          wish{head_scratch_, pool_->threads(), head_scratch},
  };
  for (const auto& [out, rows, columns] : wishes) {
    auto made = make_matrix(rows, columns);
    if (!made)
      return unexpected{made.error()};
    out = std::move(*made);
  }
  return {};
}

numerics_id host_model::numerics() const {
  // avx2 and avx512 do the same fused operations in the same order.
  const std::string_view family = path_ == simd_path::portable ? "separate" : "fused";
  const auto text = "host " + std::string{family} + " kernels " + std::to_string(kernel_version) + " kv f32";
  return numerics_id{XXH3_64bits(text.data(), text.size())};
}

model_fingerprint host_model::fingerprint() const {
  std::array<std::uint64_t, 9> numbers{weights_->hash(), numerics().value, group_.layers, group_.block_tokens};
  std::ranges::transform(group_.stride, numbers.begin() + 4, [](auto s) { return static_cast<std::uint64_t>(s); });
  return model_fingerprint{XXH3_64bits(numbers.data(), sizeof numbers)};
}

std::uint32_t host_model::logits_stride() const { return padded(config().vocabulary); }

void host_model::forward(std::span<const forward_token> tokens, std::span<const std::uint32_t> wanted,
                         std::span<float> logits) {
  std::uint32_t collected = 0; // rows in last_, not yet through the head
  std::size_t next = 0;        // of wanted
  const auto flush = [&] {
    compute_head(collected, logits.subspan((next - collected) * logits_stride()));
    collected = 0;
  };
  for (std::size_t begin = 0; begin < tokens.size(); begin += product_tokens_max) {
    const auto count = std::min<std::size_t>(product_tokens_max, tokens.size() - begin);
    forward_chunk(tokens.subspan(begin, count));
    for (; next < wanted.size() && wanted[next] < begin + count; ++next) {
      if (collected == product_tokens_max)
        flush();
      std::copy_n(residual_.row(static_cast<std::uint32_t>(wanted[next] - begin)), residual_.stride,
                  last_.row(collected++));
    }
  }
  flush();
}

void host_model::forward_chunk(std::span<const forward_token> tokens) {
  const auto count = static_cast<std::uint32_t>(tokens.size());
  embed(tokens);
  for (std::uint32_t i = 0; i < config().layers; ++i) {
    const auto& layer = weights_->layers()[i];
    normalise(count, layer.attention_norm);
    compute_attention(tokens, layer, i);
    normalise(count, layer.ffn_norm);
    compute_ffn(count, layer);
  }
}

void host_model::embed(std::span<const forward_token> tokens) {
  pool_->parallel_for(static_cast<std::uint32_t>(tokens.size()), tokens_grain, [&](auto begin, auto end, auto) {
    for (auto t = begin; t < end; ++t)
      unpack_row(weights_->embedding(), tokens[t].token, residual_.row(t));
  });
}

void host_model::normalise(std::uint32_t tokens, const std::vector<float>& weight) {
  pool_->parallel_for(tokens, tokens_grain, [&](auto begin, auto end, auto) {
    for (auto t = begin; t < end; ++t)
      kernels_->rms_norm(residual_.row(t), weight.data(), normal_.row(t), config().width, normal_.stride,
                         config().rms_epsilon);
  });
}

void host_model::compute_attention(std::span<const forward_token> tokens, const host_layer& layer,
                                   std::uint32_t index) {
  const auto count = static_cast<std::uint32_t>(tokens.size());
  const auto project = [&](const packed_view& weights, const matrix& out) {
    return matrix_product{.weights = weights,
                          .x = normal_.row(0),
                          .x_stride = normal_.stride,
                          .out = out.row(0),
                          .out_stride = out.stride,
                          .tokens = count};
  };
  multiply(std::array{project(layer.query, query_), project(layer.key, key_), project(layer.value, value_)});
  store_kv(tokens, index);
  attend(tokens, index);
  multiply(std::array{matrix_product{.weights = layer.attention_out,
                                     .x = mixed_.row(0),
                                     .x_stride = mixed_.stride,
                                     .out = residual_.row(0),
                                     .out_stride = residual_.stride,
                                     .tokens = count,
                                     .end = epilogue::add}});
}

float* host_model::kv_row(std::uint32_t layer, std::uint32_t key_or_value, std::uint32_t kv_head) const {
  return reinterpret_cast<float*>(kv_.data() + layer * group_.stride[0] + key_or_value * group_.stride[1]
                                  + kv_head * group_.stride[2]);
}

void host_model::store_kv(std::span<const forward_token> tokens, std::uint32_t layer) {
  const auto& c = config();
  pool_->parallel_for(static_cast<std::uint32_t>(tokens.size()), tokens_grain, [&](auto begin, auto end, auto) {
    for (auto t = begin; t < end; ++t) {
      const auto position = tokens[t].position;
      const auto offset = (tokens[t].table[position / group_.block_tokens] * group_.block_bytes
                           + position % group_.block_tokens * static_cast<std::uint64_t>(group_.stride[3]))
                          / sizeof(float);
      for (std::uint32_t h = 0; h < c.kv_heads; ++h) {
        rotate(key_.row(t) + h * c.head_width, c.head_width, weights_->rope_cosines(position),
               weights_->rope_sines(position), kv_row(layer, key_part, h) + offset);
        std::copy_n(value_.row(t) + h * c.head_width, c.head_width, kv_row(layer, value_part, h) + offset);
      }
    }
  });
}

void host_model::attend(std::span<const forward_token> tokens, std::uint32_t layer) {
  // Items are (kv head, token, query head of the kv head): one token splits evenly over threads by query heads, though
  // keys are then read twice, and many tokens run along one kv head, whose keys stay in the cache.
  const auto items = config().heads * static_cast<std::uint32_t>(tokens.size());
  const auto grain = tokens.size() > 1 ? config().heads_per_kv() : (items + pool_->threads() - 1) / pool_->threads();
  pool_->parallel_for(items, grain,
                      [&](auto begin, auto end, auto thread) { attend_range(tokens, layer, begin, end, thread); });
}

void host_model::attend_range(std::span<const forward_token> tokens, std::uint32_t layer, std::uint32_t begin,
                              std::uint32_t end, std::uint32_t thread) {
  const auto& c = config();
  const auto shared = c.heads_per_kv();
  const auto head_padded = padded(c.head_width);
  float* queries = head_scratch_.row(thread);
  float* outs = queries + attention_heads_max * head_padded;
  attention a{.query = queries,
              .out = outs,
              .width = head_padded,
              .block_stride = group_.block_bytes / sizeof(float),
              .token_stride = static_cast<std::uint64_t>(group_.stride[3]) / sizeof(float),
              .block_tokens = group_.block_tokens,
              .scale = 1.0f / std::sqrt(static_cast<float>(c.head_width)),
              .scores = outs + attention_heads_max * head_padded,
              .score_stride = score_stride_};
  for (auto item = begin; item < end; item += a.heads) {
    const auto kv_head = item / shared / static_cast<std::uint32_t>(tokens.size());
    const auto t = item / shared % static_cast<std::uint32_t>(tokens.size());
    const auto first_head = kv_head * shared + item % shared;
    a.heads = std::min({shared - item % shared, end - item, attention_heads_max});
    a.keys = kv_row(layer, key_part, kv_head);
    a.values = kv_row(layer, value_part, kv_head);
    a.table = tokens[t].table;
    a.positions = tokens[t].position + 1;
    for (std::uint32_t h = 0; h < a.heads; ++h)
      rotate(query_.row(t) + (first_head + h) * c.head_width, c.head_width, weights_->rope_cosines(tokens[t].position),
             weights_->rope_sines(tokens[t].position), queries + h * head_padded);
    kernels_->attend(a);
    for (std::uint32_t h = 0; h < a.heads; ++h)
      std::copy_n(outs + h * head_padded, c.head_width, mixed_.row(t) + (first_head + h) * c.head_width);
  }
}

void host_model::compute_ffn(std::uint32_t tokens, const host_layer& layer) {
  const auto project = [&](const packed_view& weights, const matrix& out) {
    return matrix_product{.weights = weights,
                          .x = normal_.row(0),
                          .x_stride = normal_.stride,
                          .out = out.row(0),
                          .out_stride = out.stride,
                          .tokens = tokens};
  };
  auto gate = project(layer.gate, gate_);
  auto up = project(layer.up, up_);
  pool_->parallel_for(layer.gate.groups(), groups_grain, [&](auto begin, auto end, auto) {
    auto part = gate;
    for (auto* product : {&gate, &up}) {
      part = *product;
      part.group_begin = begin;
      part.group_end = end;
      kernels_->multiply(part);
    }
    for (std::uint32_t t = 0; t < tokens; ++t)
      kernels_->swiglu(gate_.row(t) + begin * lanes, up_.row(t) + begin * lanes, (end - begin) * lanes);
  });
  multiply(std::array{matrix_product{.weights = layer.down,
                                     .x = gate_.row(0),
                                     .x_stride = gate_.stride,
                                     .out = residual_.row(0),
                                     .out_stride = residual_.stride,
                                     .tokens = tokens,
                                     .end = epilogue::add}});
}

void host_model::compute_head(std::uint32_t rows, std::span<float> logits) {
  if (rows == 0)
    return;
  for (std::uint32_t i = 0; i < rows; ++i)
    kernels_->rms_norm(last_.row(i), weights_->output_norm().data(), normal_.row(i), config().width, normal_.stride,
                       config().rms_epsilon);
  multiply(std::array{matrix_product{.weights = weights_->head(),
                                     .x = normal_.row(0),
                                     .x_stride = normal_.stride,
                                     .out = logits.data(),
                                     .out_stride = logits_stride(),
                                     .tokens = rows}});
}

void host_model::multiply(std::span<const matrix_product> products) {
  std::uint32_t groups = 0;
  for (const auto& product : products)
    groups += product.weights.groups();
  pool_->parallel_for(groups, groups_grain, [&](std::uint32_t begin, std::uint32_t end, auto) {
    std::uint32_t first = 0; // group number of the product's first group
    for (auto product : products) {
      const auto count = product.weights.groups();
      product.group_begin = std::clamp(begin, first, first + count) - first;
      product.group_end = std::clamp(end, first, first + count) - first;
      if (product.group_begin < product.group_end)
        kernels_->multiply(product);
      first += count;
    }
  });
}

} // namespace troupe::gpu::host
