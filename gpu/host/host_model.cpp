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

/// Whether a layer forgets tokens before the context ends.
bool slides(const layer_config& layer, const model_config& config) {
  return layer.window != 0 && layer.window < config.context_tokens;
}

bool has_full_layer(const model_config& config) {
  return !std::ranges::all_of(config.layers, [&](const auto& layer) { return slides(layer, config); });
}

cache_group make_group(const model_config& config, std::size_t layers, std::uint32_t block_tokens) {
  cache_group group;
  group.layers = static_cast<std::uint16_t>(layers);
  group.block_tokens = static_cast<std::uint16_t>(block_tokens);
  // A head's width is padded with zeros to whole vectors. Keys lie column by column, so that a vector holds a column of
  // 16 positions: scores then need no sum across lanes.
  const std::uint64_t width = padded(config.head_width), tokens = padded(block_tokens), bytes = sizeof(float);
  group.keys = {.head = width * tokens * bytes, .token = bytes, .dim = tokens * bytes};
  group.values = {.head = width * block_tokens * bytes, .token = width * bytes, .dim = bytes};
  group.values_offset = config.kv_heads * group.keys.head;
  group.keys.layer = group.values.layer = group.values_offset + config.kv_heads * group.values.head;
  group.block_bytes = group.keys.layer * layers;
  return group;
}

/// Hash of what the C library gives for the functions that angles and experts take from it: its versions differ, and so
/// do the code paths that it chooses by CPU.
std::uint64_t libm_probe() {
  static const auto hash = [] {
    std::vector<double> values;
    for (int i = 0; i < 256; ++i) {
      const double x = i * 37.3 + 1.0 / (i + 1);
      values.insert(values.end(), {std::cos(x), std::sin(x), std::pow(1e4, -i / 256.0),
                                   static_cast<double>(std::exp(static_cast<float>(-x / 100)))});
    }
    return XXH3_64bits(values.data(), values.size() * sizeof(double));
  }();
  return hash;
}

/// A vector more than needed: rows a power of two apart would fall into the same few lines of L1.
std::uint32_t row_stride(std::uint32_t columns) { return padded(columns) + lanes; }

} // namespace

std::vector<cache_group> kv_groups(const host_weights& weights, std::uint32_t block_tokens) {
  const auto& config = weights.config();
  std::size_t sliding = 0;
  std::uint32_t window = 0;
  if (has_full_layer(config))
    for (const auto& layer : config.layers)
      if (slides(layer, config)) {
        ++sliding;
        window = std::max(window, layer.window);
      }
  std::vector<cache_group> groups{make_group(config, config.layers.size() - sliding, block_tokens)};
  if (sliding > 0) {
    groups.push_back(make_group(config, sliding, block_tokens));
    groups.back().kind = group_kind::sliding;
    groups.back().window_tokens = window;
  }
  return groups;
}

expected<std::unique_ptr<host_model>, error> host_model::make(std::shared_ptr<const host_weights> weights,
                                                              compute_pool& pool, simd_path path,
                                                              const std::array<std::uint32_t, groups_max>& kv_blocks,
                                                              std::uint32_t block_tokens) {
  if (block_tokens == 0 || block_tokens > std::numeric_limits<std::uint16_t>::max())
    return fail(errc::invalid_step,
                "KV blocks of " + std::to_string(block_tokens) + " tokens: at least 1 and at most 65535 are possible");
  std::unique_ptr<host_model> model{new host_model};
  for (const auto& shape : kv_groups(*weights, block_tokens)) {
    auto group = make_kv_group(shape, kv_blocks[model->kv_.size()]);
    if (!group)
      return unexpected{group.error()};
    model->kv_.push_back(std::move(*group));
  }
  model->weights_ = std::move(weights);
  model->place_layers();
  model->pool_ = &pool;
  model->path_ = path;
  model->kernels_ = &kernels_of(path);
  const auto& c = model->config();
  for (const auto& rope : c.ropes)
    for (std::uint32_t i = 0; i < c.head_width / 2; ++i)
      model->frequencies_.push_back(std::pow(rope.base, -2.0 * i / c.head_width)
                                    / (rope.divisors.empty() ? 1.0 : rope.divisors[i]));
  if (auto ok = model->make_scratch(); !ok)
    return unexpected{ok.error()};
  return model;
}

expected<host_model::kv_group, error> host_model::make_kv_group(cache_group shape, std::uint32_t blocks) {
  if (blocks == 0)
    return fail(errc::invalid_step, "0 KV blocks: there must be at least 1");
  if (shape.block_bytes > std::numeric_limits<std::int64_t>::max() / blocks)
    return fail(errc::resource, std::to_string(blocks) + " KV blocks do not fit the address space");
  shape.blocks = blocks;
  // A file, so that other processes can write into it; where there are none, transports copy through sockets.
  const auto bytes = shape.block_bytes * blocks;
  auto memory = mapped_memory::make_shared(bytes);
  if (!memory)
    memory = mapped_memory::make(bytes);
  if (!memory)
    return unexpected{memory.error()};
  return kv_group{shape, std::move(*memory)};
}

void host_model::place_layers() {
  std::array<std::uint32_t, groups_max> placed{};
  for (const auto& layer : config().layers) {
    const auto group = kv_.size() > 1 && slides(layer, config()) ? 1u : 0u;
    places_.push_back({group, placed[group]++});
  }
}

std::vector<cache_group> host_model::groups() const {
  std::vector<cache_group> all;
  for (const auto& group : kv_)
    all.push_back(group.shape);
  return all;
}

region_view host_model::kv_memory(std::size_t group) const {
  if (group >= kv_.size())
    return {};
  const auto& memory = kv_[group].memory;
  return {memory.data(), memory.bytes(), memory_kind::host, nullptr, memory.fd()};
}

expected<host_model::matrix, error> host_model::make_matrix(std::uint32_t rows, std::uint32_t columns) {
  auto memory = mapped_memory::make(std::uint64_t{rows} * row_stride(columns) * sizeof(float));
  if (!memory)
    return unexpected{memory.error()};
  return matrix{std::move(*memory), row_stride(columns)};
}

expected<void, error> host_model::make_scratch() {
  const auto& c = config();
  const auto head_scratch = attention_rows_max * (2 * padded(c.head_width) + padded(c.context_tokens));
  const auto has_experts = c.experts.count != 0;
  const auto hidden = has_experts ? c.experts.hidden : c.hidden;
  const auto widest = std::max({c.width, c.query_width(), hidden});
  // A block more than needed, as in row_stride.
  prepared_stride_ = (widest + quant_columns - 1) / quant_columns * quant_columns + quant_columns;
  const auto quant_floats = static_cast<std::uint32_t>(prepared_stride_ * sizeof(std::int16_t) / sizeof(float));
  const auto block_floats =
    static_cast<std::uint32_t>(prepared_stride_ / quant_columns * sizeof(activation_block) / sizeof(float));
  const auto bfloat_floats =
    multiplies_bfloats_by_tiles()
      ? static_cast<std::uint32_t>(3 * prepared_stride_ * sizeof(std::uint16_t) / sizeof(float))
      : 0;
  struct wish {
    matrix& out;
    std::uint32_t rows;
    std::uint32_t columns;
  };
  const auto branch_width = c.post_norms || has_experts ? c.width : 0;
  const auto expert_width = has_experts ? c.width : 0;
  const auto angles = static_cast<std::uint32_t>(c.ropes.size()) * c.head_width;
  const std::array wishes{
    wish{residual_, product_tokens_max, c.width},
    wish{normal_, product_tokens_max, c.width},
    wish{query_, product_tokens_max, c.query_width()},
    wish{key_, product_tokens_max, c.kv_width()},
    wish{value_, product_tokens_max, c.kv_width()},
    wish{mixed_, product_tokens_max, c.query_width()},
    wish{gate_, product_tokens_max, hidden},
    wish{up_, product_tokens_max, hidden},
    wish{branch_, product_tokens_max, branch_width},
    wish{last_, product_tokens_max, c.width},
    wish{angles_, product_tokens_max, angles},
    wish{head_scratch_, pool_->threads(), head_scratch},
    wish{router_, product_tokens_max, c.experts.count},
    wish{expert_in_, product_tokens_max, expert_width},
    wish{expert_out_, product_tokens_max, expert_width},
    wish{quants_, product_tokens_max + 15, quant_floats},
    wish{quant_blocks_, product_tokens_max + 15, block_floats},
    wish{bfloats_, product_tokens_max, bfloat_floats},
  };
  for (const auto& [out, rows, columns] : wishes) {
    auto made = make_matrix(rows, columns);
    if (!made)
      return unexpected{made.error()};
    out = std::move(*made);
  }
  chosen_.resize(std::size_t{product_tokens_max} * c.experts.used);
  expert_tokens_.reserve(product_tokens_max);
  return {};
}

bool host_model::multiplies_bfloats_by_tiles() const {
  return kernels_->split_bfloats != nullptr && weights_->has(packed_type::bf16);
}

numerics_id host_model::numerics() const {
  // All paths but portable do the same fused operations in the same order, but for products of bf16 tiles.
  const std::string_view family = path_ == simd_path::portable    ? "separate"
                                  : multiplies_bfloats_by_tiles() ? "bfloat tiles"
                                                                  : "fused";
  const auto text = "host " + std::string{family} + " kernels " + std::to_string(kernel_version) + " kv f32 libm "
                    + std::to_string(libm_probe());
  return numerics_id{XXH3_64bits(text.data(), text.size())};
}

model_fingerprint host_model::fingerprint() const {
  std::vector<std::uint64_t> numbers{weights_->hash(), numerics().value};
  for (const auto& [shape, memory] : kv_) {
    if (shape.kind != group_kind::full)
      numbers.insert(numbers.end(), {static_cast<std::uint64_t>(shape.kind), shape.window_tokens});
    numbers.insert(numbers.end(), {shape.layers, shape.block_tokens, shape.values_offset});
    for (const auto& stride : {shape.keys, shape.values})
      numbers.insert(numbers.end(), {stride.layer, stride.head, stride.token, stride.dim});
  }
  return model_fingerprint{XXH3_64bits(numbers.data(), numbers.size() * sizeof(std::uint64_t))};
}

std::uint32_t host_model::logits_stride() const { return row_stride(config().vocabulary); }

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
  turn_angles(tokens);
  for (std::uint32_t i = 0; i < weights_->layers().size(); ++i) {
    const auto& layer = weights_->layers()[i];
    normalise(count, layer.attention_norm);
    compute_attention(tokens, layer, i);
    normalise(count, layer.ffn_norm);
    if (config().experts.count != 0)
      compute_experts(count, layer);
    else
      compute_ffn(count, layer);
  }
}

void host_model::embed(std::span<const forward_token> tokens) {
  const auto scale = config().embedding_scale;
  pool_->parallel_for(static_cast<std::uint32_t>(tokens.size()), tokens_grain, [&](auto begin, auto end, auto) {
    for (auto t = begin; t < end; ++t) {
      unpack_row(weights_->embedding(), tokens[t].token, residual_.row(t));
      if (scale != 1)
        for (std::uint32_t i = 0; i < config().width; ++i)
          residual_.row(t)[i] *= scale;
    }
  });
}

void host_model::normalise(std::uint32_t tokens, const std::vector<float>& weight) {
  pool_->parallel_for(tokens, tokens_grain, [&](auto begin, auto end, auto) {
    for (auto t = begin; t < end; ++t)
      kernels_->rms_norm(residual_.row(t), weight.data(), normal_.row(t), config().width, padded(config().width),
                         config().rms_epsilon);
  });
}

void host_model::add_bias(const matrix& to, std::uint32_t tokens, const std::vector<float>& bias) {
  if (bias.empty())
    return;
  pool_->parallel_for(tokens, tokens_grain, [&](auto begin, auto end, auto) {
    for (auto t = begin; t < end; ++t)
      for (std::size_t i = 0; i < bias.size(); ++i)
        to.row(t)[i] += bias[i];
  });
}

matrix_product host_model::product_of(const packed_view& weights, const matrix& x, const matrix& out,
                                      std::uint32_t tokens) {
  return {.weights = weights,
          .x = x.row(0),
          .x_stride = x.stride,
          .out = out.row(0),
          .out_stride = out.stride,
          .tokens = tokens};
}

void host_model::add_to_residual(const packed_view& weights, const matrix& x, std::uint32_t tokens,
                                 const std::vector<float>& bias, const std::vector<float>& post_norm) {
  const auto& out = post_norm.empty() ? residual_ : branch_;
  auto product = product_of(weights, x, out, tokens);
  product.end = post_norm.empty() ? epilogue::add : epilogue::store;
  multiply(std::array{product});
  add_bias(out, tokens, bias);
  if (!post_norm.empty())
    add_branch(tokens, post_norm);
}

void host_model::add_branch(std::uint32_t tokens, const std::vector<float>& post_norm) {
  pool_->parallel_for(tokens, tokens_grain, [&](auto begin, auto end, auto) {
    for (auto t = begin; t < end; ++t) {
      if (!post_norm.empty())
        kernels_->rms_norm(branch_.row(t), post_norm.data(), branch_.row(t), config().width, padded(config().width),
                           config().rms_epsilon);
      for (std::uint32_t i = 0; i < config().width; ++i)
        residual_.row(t)[i] += branch_.row(t)[i];
    }
  });
}

void host_model::compute_head(std::uint32_t rows, std::span<float> logits) {
  if (rows == 0)
    return;
  for (std::uint32_t i = 0; i < rows; ++i)
    kernels_->rms_norm(last_.row(i), weights_->output_norm().data(), normal_.row(i), config().width,
                       padded(config().width), config().rms_epsilon);
  multiply(std::array{matrix_product{.weights = weights_->head(),
                                     .x = normal_.row(0),
                                     .x_stride = normal_.stride,
                                     .out = logits.data(),
                                     .out_stride = logits_stride(),
                                     .tokens = rows}});
}

void host_model::prepare(std::span<matrix_product> products) {
  const auto wanted = [&](auto wants) {
    return std::ranges::any_of(products, [&](const auto& product) { return wants(product.weights.type); });
  };
  const bool rounds = wanted(is_quantised);
  const bool splits = kernels_->split_bfloats != nullptr && wanted([](auto type) { return type == packed_type::bf16; });
  if (!rounds && !splits)
    return;
  const quantised_rows rounded{reinterpret_cast<std::int16_t*>(quants_.row(0)),
                               reinterpret_cast<activation_block*>(quant_blocks_.row(0)), prepared_stride_};
  const bfloat_parts bfloats{reinterpret_cast<std::uint16_t*>(bfloats_.row(0)), prepared_stride_};
  const auto& shared = products.front();
  pool_->parallel_for(shared.tokens, tokens_grain, [&](auto begin, auto end, auto) {
    for (std::size_t t = begin; t < end; ++t) {
      const auto* x = shared.x + t * shared.x_stride;
      if (rounds)
        kernels_->quantise(
          x, shared.weights.columns, shared.tokens,
          {rounded.quants + t * rounded.stride, rounded.blocks + t * rounded.stride / quant_columns, rounded.stride});
      if (splits)
        kernels_->split_bfloats(x, shared.weights.columns, {bfloats.parts + t * 3 * bfloats.stride, bfloats.stride});
    }
  });
  for (auto& product : products) {
    product.quantised = rounded;
    product.bfloats = bfloats;
  }
}

void host_model::multiply(std::span<const matrix_product> given) {
  // Products that stand beside each other and share activations run together.
  constexpr std::size_t products_max = 4;
  std::array<matrix_product, products_max> together;
  for (std::size_t first = 0, next = 0; first < given.size(); first = next) {
    for (; next < given.size() && next - first < products_max && given[next].x == given[first].x; ++next)
      together[next - first] = given[next];
    const std::span products{together.data(), next - first};
    prepare(products);
    std::uint32_t groups = 0;
    for (const auto& product : products)
      groups += product.weights.groups();
    pool_->parallel_for(groups, groups_grain, [&](std::uint32_t begin, std::uint32_t end, auto) {
      std::uint32_t before = 0; // groups of the products before
      for (auto product : products) {
        const auto count = product.weights.groups();
        product.group_begin = std::clamp(begin, before, before + count) - before;
        product.group_end = std::clamp(end, before, before + count) - before;
        if (product.group_begin < product.group_end)
          kernels_->multiply(product);
        before += count;
      }
    });
  }
}

} // namespace troupe::gpu::host
