// SPDX-License-Identifier: Apache-2.0
#include "tests/support/gguf_of_transformers.hpp"

#include <array>
#include <cmath>
#include <map>
#include <numbers>
#include <string>

#include <nlohmann/json.hpp>

#include "tests/support/gguf_writer.hpp"

namespace troupe::test {

namespace {

using gpu::tensor_info;
using gpu::tensor_type;
using nlohmann::json;

const std::map<std::string, std::string> architectures{
  {"llama", "llama"}, {"smollm3", "smollm3"},    {"qwen2", "qwen2"},
  {"qwen3", "qwen3"}, {"qwen3_moe", "qwen3moe"}, {"gemma3_text", "gemma3"},
};

const std::map<std::string, std::string> layer_names{
  {"input_layernorm", "attn_norm"},
  {"self_attn.q_proj", "attn_q"},
  {"self_attn.k_proj", "attn_k"},
  {"self_attn.v_proj", "attn_v"},
  {"self_attn.o_proj", "attn_output"},
  {"self_attn.q_norm", "attn_q_norm"},
  {"self_attn.k_norm", "attn_k_norm"},
  {"mlp.gate_proj", "ffn_gate"},
  {"mlp.up_proj", "ffn_up"},
  {"mlp.down_proj", "ffn_down"},
  {"mlp.gate", "ffn_gate_inp"},
  {"pre_feedforward_layernorm", "ffn_norm"},
  {"post_feedforward_layernorm", "post_ffw_norm"},
};

class converter {
public:
  converter(const gpu::transformers_directory& from, gpu::host::weight_format format)
    : from_(from), format_(format), config_(from.config()), type_(config_["model_type"].get<std::string>()),
      name_(architectures.at(type_)) {}

  std::vector<std::byte> write() {
    add_keys();
    if (from_.find_tensor("model.layers.0.mlp.experts.0.up_proj.weight") != nullptr)
      add_experts();
    for (const auto& tensor : from_.tensors())
      if (tensor.name.find(".experts.") == std::string::npos)
        add(tensor);
    return file_.finish();
  }

private:
  std::uint32_t number(const char* key) const { return config_.at(key).get<std::uint32_t>(); }
  std::uint32_t head_width() const {
    return config_.contains("head_dim") && !config_["head_dim"].is_null()
             ? number("head_dim")
             : number("hidden_size") / number("num_attention_heads");
  }

  void add_keys() {
    file_.add_string("general.architecture", name_);
    file_.add_string("tokenizer.ggml.model", "none");
    auto u32 = [&](const char* key, std::uint32_t value) { file_.add_uint32(name_ + "." + key, value); };
    auto f32 = [&](const char* key, float value) { file_.add_float(name_ + "." + key, value); };
    u32("vocab_size", number("vocab_size"));
    u32("context_length", number("max_position_embeddings"));
    u32("embedding_length", number("hidden_size"));
    u32("block_count", number("num_hidden_layers"));
    u32("feed_forward_length", number("intermediate_size"));
    u32("attention.head_count", number("num_attention_heads"));
    u32("attention.head_count_kv", number("num_key_value_heads"));
    u32("attention.key_length", head_width());
    u32("attention.value_length", head_width());
    u32("rope.dimension_count", head_width());
    f32("attention.layer_norm_rms_epsilon", config_.at("rms_norm_eps").get<float>());
    const auto& rope = config_.at("rope_parameters");
    const auto& of_all = rope.contains("full_attention") ? rope.at("full_attention") : rope;
    f32("rope.freq_base", of_all.at("rope_theta").get<float>());
    if (of_all.at("rope_type") == "llama3")
      add_rope_divisors(of_all);
    if (name_ == "gemma3") {
      u32("attention.sliding_window", number("sliding_window"));
      f32("attention.scale", 1 / std::sqrt(config_.at("query_pre_attn_scalar").get<float>()));
    }
    if (name_ == "qwen3moe") {
      u32("expert_count", number("num_local_experts"));
      u32("expert_used_count", number("num_experts_per_tok"));
      u32("expert_feed_forward_length", number("moe_intermediate_size"));
    }
  }

  /// Source: llama.cpp's converter, which follows Meta's published code.
  void add_rope_divisors(const json& rope) {
    const auto factor = rope.at("factor").get<double>();
    const auto low = rope.at("low_freq_factor").get<double>();
    const auto high = rope.at("high_freq_factor").get<double>();
    const auto context = rope.at("original_max_position_embeddings").get<double>();
    std::vector<float> divisors;
    for (std::uint32_t i = 0; i < head_width(); i += 2) {
      const auto wavelength =
        2 * std::numbers::pi * std::pow(rope.at("rope_theta").get<double>(), static_cast<double>(i) / head_width());
      if (wavelength < context / high)
        divisors.push_back(1);
      else if (wavelength > context / low)
        divisors.push_back(static_cast<float>(factor));
      else {
        const auto smooth = (context / wavelength - low) / (high - low);
        divisors.push_back(static_cast<float>(1 / ((1 - smooth) / factor + smooth)));
      }
    }
    const std::array<std::uint64_t, 1> dims{divisors.size()};
    file_.add_tensor("rope_freqs.weight", dims, divisors);
  }

  std::string renamed(const std::string& name) const {
    const auto dot = name.rfind('.');
    const auto stem = name.substr(0, dot);
    const auto ending = name.substr(dot);
    if (stem == "model.embed_tokens")
      return "token_embd" + ending;
    if (stem == "model.norm")
      return "output_norm" + ending;
    if (stem == "lm_head")
      return "output" + ending;
    const std::string prefix = "model.layers.";
    const auto end = stem.find('.', prefix.size());
    const auto part = stem.substr(end + 1);
    const auto mine = part != "post_attention_layernorm" ? layer_names.at(part)
                      : name_ == "gemma3"                ? "post_attention_norm"
                                                         : "ffn_norm";
    return "blk." + stem.substr(prefix.size(), end - prefix.size()) + "." + mine + ending;
  }

  /// Rows of a head: the first half and the second, one of each in turn.
  std::vector<std::byte> interleaved(std::span<const std::byte> data, std::uint64_t rows) const {
    const auto row_bytes = data.size() / rows;
    const auto width = head_width();
    std::vector<std::byte> result;
    for (std::uint64_t row = 0; row < rows; ++row) {
      const auto in_head = row % width;
      const auto from = row - in_head + in_head / 2 + in_head % 2 * (width / 2);
      const auto bytes = data.subspan(from * row_bytes, row_bytes);
      result.insert(result.end(), bytes.begin(), bytes.end());
    }
    return result;
  }

  void add(const tensor_info& tensor) {
    const auto name = renamed(tensor.name);
    if (tensor.dims[1] == 1) {
      auto values = gpu::host::to_floats(tensor);
      if (name_ == "gemma3")
        for (auto& value : values)
          value += 1;
      return file_.add_tensor(name, std::span{tensor.dims}.first(1), values);
    }
    const auto turns = name_ == "llama" || name_ == "smollm3";
    const auto is_turned = name.find("attn_q.") != std::string::npos || name.find("attn_k.") != std::string::npos;
    auto data = converted(tensor);
    if (turns && is_turned)
      data = interleaved(data, tensor.dims[1]);
    file_.add_tensor(name, type_of(tensor), std::span{tensor.dims}.first(2), data);
  }

  void add_experts() {
    for (std::uint32_t layer = 0; layer < number("num_hidden_layers"); ++layer)
      for (const std::string part : {"gate", "up", "down"}) {
        std::vector<std::byte> data;
        tensor_type type{};
        std::array<std::uint64_t, 3> dims{0, 0, number("num_local_experts")};
        for (std::uint32_t e = 0; e < dims[2]; ++e) {
          const auto* one = from_.find_tensor("model.layers." + std::to_string(layer) + ".mlp.experts."
                                              + std::to_string(e) + "." + part + "_proj.weight");
          dims[0] = one->dims[0];
          dims[1] = one->dims[1];
          type = type_of(*one);
          const auto matrix = converted(*one);
          data.insert(data.end(), matrix.begin(), matrix.end());
        }
        file_.add_tensor("blk." + std::to_string(layer) + ".ffn_" + part + "_exps.weight", type, dims, data);
      }
  }

  tensor_type type_of(const tensor_info& tensor) const {
    return gpu::host::converted_type(tensor.type, tensor.dims[0], format_);
  }
  std::vector<std::byte> converted(const tensor_info& tensor) const {
    if (type_of(tensor) == tensor.type)
      return {tensor.data.begin(), tensor.data.end()};
    return gpu::host::convert_matrix(tensor, type_of(tensor));
  }

  const gpu::transformers_directory& from_;
  gpu::host::weight_format format_;
  const json& config_;
  std::string type_;
  std::string name_;
  gguf_writer file_;
};

} // namespace

std::vector<std::byte> gguf_of_transformers(const gpu::transformers_directory& from, gpu::host::weight_format format) {
  return converter{from, format}.write();
}

} // namespace troupe::test
