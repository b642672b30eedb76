// SPDX-License-Identifier: Apache-2.0
#include "gpu/model/synthetic_model.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <new>

namespace troupe::gpu {

namespace {

struct shape {
  std::string_view name;
  std::uint32_t vocabulary, width, layers, heads, kv_heads, head_width, hidden;
  bool tied_head;
};

// As their config.json publish them.
constexpr std::array shapes{
  shape{"llama-3.2-1b", 128'256, 2048, 16, 32, 8, 64, 8192, true},
  shape{"llama-3.1-8b", 128'256, 4096, 32, 32, 8, 128, 14'336, false},
};
constexpr std::uint32_t context_tokens = 131'072;
constexpr double rope_base = 500'000;
/// About what trained weights have: sums over thousands of products stay of order 1.
constexpr float largest_weight = 0x1p-5f;

model_config config_of(const shape& s) {
  model_config c;
  c.architecture = "llama";
  c.vocabulary = s.vocabulary;
  c.context_tokens = context_tokens;
  c.width = s.width;
  c.heads = s.heads;
  c.kv_heads = s.kv_heads;
  c.head_width = s.head_width;
  c.hidden = s.hidden;
  c.layers.resize(s.layers);
  c.ropes = {{rope_base, {}}};
  c.rms_epsilon = 1e-5f;
  c.attention_scale = 1.0f / std::sqrt(static_cast<float>(s.head_width));
  return c;
}

/// Uniform in ±largest_weight, rounded down to bf16.
std::vector<std::uint16_t> random_weights(std::uint64_t count) {
  std::vector<std::uint16_t> result(count);
  std::uint64_t state = 0x7265706F727465;
  for (auto& one : result) {
    // Knuth's MMIX generator; its high bits are random enough to measure with.
    state = state * 6364136223846793005u + 1442695040888963407u;
    const auto uniform = static_cast<float>(static_cast<std::int32_t>(state >> 32)) * 0x1p-31f;
    one = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(uniform * largest_weight) >> 16);
  }
  return result;
}

/// Hands out tensors over the shared bytes, each from another place on.
class tensor_maker {
public:
  tensor_maker(std::span<const std::uint16_t> weights, std::span<const float> norm) : weights_(weights), norm_(norm) {}

  tensor_info matrix(std::uint64_t rows, std::uint64_t columns) {
    constexpr std::uint64_t step = 64 * 1021;
    const auto room = weights_.size() - rows * columns;
    at_ = room == 0 ? 0 : (at_ + step) % room / 32 * 32;
    return {
      "synthetic", tensor_type::bf16, {columns, rows, 1, 1}, std::as_bytes(weights_.subspan(at_, rows * columns))};
  }

  tensor_info norm(std::uint64_t elements) const {
    return {"synthetic norm", tensor_type::f32, {elements, 1, 1, 1}, std::as_bytes(norm_.first(elements))};
  }

private:
  std::span<const std::uint16_t> weights_;
  std::span<const float> norm_;
  std::uint64_t at_ = 0;
};

model_tensors tensors_of(const shape& s, const model_config& c, tensor_maker make) {
  model_tensors result;
  result.embedding = make.matrix(c.vocabulary, c.width);
  if (!s.tied_head)
    result.head = make.matrix(c.vocabulary, c.width);
  result.output_norm = make.norm(c.width);
  for (std::uint32_t i = 0; i < s.layers; ++i) {
    auto& layer = result.layers.emplace_back();
    layer.attention_norm = make.norm(c.width);
    layer.query.weight = make.matrix(c.query_width(), c.width);
    layer.key.weight = make.matrix(c.kv_width(), c.width);
    layer.value.weight = make.matrix(c.kv_width(), c.width);
    layer.attention_out.weight = make.matrix(c.width, c.query_width());
    layer.ffn_norm = make.norm(c.width);
    layer.ffn.push_back(
      {make.matrix(c.hidden, c.width), make.matrix(c.hidden, c.width), make.matrix(c.width, c.hidden)});
  }
  return result;
}

} // namespace

expected<synthetic_model, error> synthetic_model::make(std::string_view name) try {
  std::string known;
  for (const auto& s : shapes) {
    known += (known.empty() ? "" : ", ") + std::string{s.name};
    if (s.name != name)
      continue;
    synthetic_model result;
    result.description_.config = config_of(s);
    const auto& c = result.description_.config;
    result.matrix_bytes_ =
      std::make_unique<std::vector<std::uint16_t>>(random_weights(std::uint64_t{c.vocabulary} * c.width));
    result.norm_ = std::make_unique<std::vector<float>>(c.width, 1.0f);
    result.description_.tensors = tensors_of(s, c, {*result.matrix_bytes_, *result.norm_});
    return result;
  }
  return fail(errc::unsupported, "there is no synthetic model '" + std::string{name} + "', known are " + known);
} catch (const std::bad_alloc&) {
  return fail(errc::resource, "not enough memory for a synthetic model");
}

} // namespace troupe::gpu
