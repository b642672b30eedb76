// SPDX-License-Identifier: Apache-2.0
#include "gpu/model/model_tensors.hpp"

#include <string>
#include <unordered_set>

#include "gpu/model/in_quotes.hpp"

namespace troupe::gpu {

namespace {

/// A tensor's name in both formats without ".weight"; # stands for the layer, @ for the expert.
struct tensor_name {
  std::string_view gguf;
  std::string_view transformers;

  std::string in(tensor_naming naming, std::uint32_t layer = 0, std::uint32_t expert = 0) const {
    std::string result;
    for (const char c : naming == tensor_naming::gguf ? gguf : transformers)
      if (c == '#')
        result += std::to_string(layer);
      else if (c == '@')
        result += std::to_string(expert);
      else
        result += c;
    return result;
  }
};

namespace names {
constexpr tensor_name embedding{"token_embd", "model.embed_tokens"};
constexpr tensor_name output_norm{"output_norm", "model.norm"};
constexpr tensor_name head{"output", "lm_head"};
constexpr tensor_name rope_divisors{"rope_freqs", ""};
constexpr tensor_name attention_norm{"blk.#.attn_norm", "model.layers.#.input_layernorm"};
constexpr tensor_name query{"blk.#.attn_q", "model.layers.#.self_attn.q_proj"};
constexpr tensor_name key{"blk.#.attn_k", "model.layers.#.self_attn.k_proj"};
constexpr tensor_name value{"blk.#.attn_v", "model.layers.#.self_attn.v_proj"};
constexpr tensor_name attention_out{"blk.#.attn_output", "model.layers.#.self_attn.o_proj"};
constexpr tensor_name query_norm{"blk.#.attn_q_norm", "model.layers.#.self_attn.q_norm"};
constexpr tensor_name key_norm{"blk.#.attn_k_norm", "model.layers.#.self_attn.k_norm"};
constexpr tensor_name ffn_norm{"blk.#.ffn_norm", "model.layers.#.post_attention_layernorm"};
// Where norms follow as well, transformers calls the one before the feed-forward part otherwise.
constexpr tensor_name post_attention_norm{"blk.#.post_attention_norm", "model.layers.#.post_attention_layernorm"};
constexpr tensor_name pre_ffn_norm{"blk.#.ffn_norm", "model.layers.#.pre_feedforward_layernorm"};
constexpr tensor_name post_ffn_norm{"blk.#.post_ffw_norm", "model.layers.#.post_feedforward_layernorm"};
constexpr tensor_name gate{"blk.#.ffn_gate", "model.layers.#.mlp.gate_proj"};
constexpr tensor_name up{"blk.#.ffn_up", "model.layers.#.mlp.up_proj"};
constexpr tensor_name down{"blk.#.ffn_down", "model.layers.#.mlp.down_proj"};
constexpr tensor_name router{"blk.#.ffn_gate_inp", "model.layers.#.mlp.gate"};
// GGUF has one tensor of three dimensions for all experts.
constexpr tensor_name expert_gate{"blk.#.ffn_gate_exps", "model.layers.#.mlp.experts.@.gate_proj"};
constexpr tensor_name expert_up{"blk.#.ffn_up_exps", "model.layers.#.mlp.experts.@.up_proj"};
constexpr tensor_name expert_down{"blk.#.ffn_down_exps", "model.layers.#.mlp.experts.@.down_proj"};
} // namespace names

struct matrix_shape {
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
};

std::string to_string(const std::array<std::uint64_t, 4>& dims) {
  auto result = "[" + std::to_string(dims[0]) + ", " + std::to_string(dims[1]);
  if (dims[2] != 1 || dims[3] != 1)
    result += ", " + std::to_string(dims[2]);
  return result + "]";
}

/// Finds tensors and keeps the first error; what it returns after one is of no use.
class tensor_finder {
public:
  tensor_finder(const tensor_source& source) : source_(source) {}

  bool has(const std::string& name) const { return source_.find(name) != nullptr; }

  tensor_info tensor(const std::string& name, const std::array<std::uint64_t, 4>& dims) {
    if (error_)
      return {};
    const auto* found = source_.find(name);
    if (found == nullptr)
      return refuse(errc::missing, "there is no tensor " + name);
    known_.insert(name);
    if (found->dims != dims)
      return refuse(errc::missing,
                    "tensor " + name + " has shape " + to_string(found->dims) + ", expected " + to_string(dims));
    if (packing_of(found->type).bytes == 0)
      return refuse(errc::unsupported, "tensor " + name + " is of type " + gpu::to_string(found->type));
    const auto bytes = row_bytes(found->type, dims[0]);
    if (bytes == 0 || found->data.size() != bytes * dims[1] * dims[2])
      return refuse(errc::malformed_file, "tensor " + name + " of type " + gpu::to_string(found->type) + " and shape "
                                            + to_string(dims) + " has " + std::to_string(found->data.size())
                                            + " bytes");
    return *found;
  }

  tensor_info matrix(const std::string& name, matrix_shape shape) {
    return tensor(name, {shape.columns, shape.rows, 1, 1});
  }

  /// Norms and biases are few and are read as they are.
  tensor_info vector(const std::string& name, std::uint64_t elements) {
    auto found = tensor(name, {elements, 1, 1, 1});
    if (!error_ && found.type != tensor_type::f32 && found.type != tensor_type::f16 && found.type != tensor_type::bf16)
      return refuse(errc::unsupported, "tensor " + name + " is of type " + gpu::to_string(found.type)
                                         + ", norms and biases are F32, F16 or BF16");
    return found;
  }

  projection_tensors projection(const std::string& name, matrix_shape shape) {
    projection_tensors result{matrix(name + ".weight", shape), std::nullopt};
    if (has(name + ".bias"))
      result.bias = vector(name + ".bias", shape.rows);
    return result;
  }

  /// Matrix `index` of a tensor of `count`.
  tensor_info slice(const std::string& name, matrix_shape shape, std::uint32_t index, std::uint32_t count) {
    auto whole = tensor(name, {shape.columns, shape.rows, count, 1});
    if (error_)
      return {};
    const auto bytes = whole.data.size() / count;
    whole.data = whole.data.subspan(index * bytes, bytes);
    whole.dims[2] = 1;
    return whole;
  }

  void know(const std::string& name) { known_.insert(name); }

  void refuse_others(std::string_view architecture) {
    for (const auto& one : source_.all)
      if (!error_ && !known_.contains(one.name))
        refuse(errc::unsupported,
               "tensor " + in_quotes(one.name) + " is not part of a " + std::string{architecture} + " model");
  }

  const std::optional<error>& first_error() const { return error_; }

private:
  tensor_info refuse(errc code, std::string why) {
    error_ = error{code, std::move(why)};
    return {};
  }

  const tensor_source& source_;
  std::unordered_set<std::string> known_;
  std::optional<error> error_;
};

/// Finds the parts of a layer.
class layer_finder {
public:
  layer_finder(tensor_finder& find, tensor_naming naming, const model_config& config, std::uint32_t layer)
    : find_(find), naming_(naming), config_(config), layer_(layer) {}

  layer_tensors all() {
    const auto& c = config_;
    layer_tensors result;
    result.attention_norm = norm(names::attention_norm, c.width);
    result.query = find_.projection(name(names::query), {c.query_width(), c.width});
    result.key = find_.projection(name(names::key), {c.kv_width(), c.width});
    result.value = find_.projection(name(names::value), {c.kv_width(), c.width});
    result.attention_out = find_.projection(name(names::attention_out), {c.width, c.query_width()});
    if (c.qk_norms) {
      result.query_norm = norm(names::query_norm, c.head_width);
      result.key_norm = norm(names::key_norm, c.head_width);
    }
    if (c.post_norms) {
      result.post_attention_norm = norm(names::post_attention_norm, c.width);
      result.post_ffn_norm = norm(names::post_ffn_norm, c.width);
    }
    result.ffn_norm = norm(c.post_norms ? names::pre_ffn_norm : names::ffn_norm, c.width);
    if (c.experts.count == 0) {
      result.ffn.push_back({find_.matrix(name(names::gate) + ".weight", {c.hidden, c.width}),
                            find_.matrix(name(names::up) + ".weight", {c.hidden, c.width}),
                            find_.matrix(name(names::down) + ".weight", {c.width, c.hidden})});
      return result;
    }
    result.router = find_.matrix(name(names::router) + ".weight", {c.experts.count, c.width});
    for (std::uint32_t e = 0; e < c.experts.count && !find_.first_error(); ++e)
      result.ffn.push_back({expert(names::expert_gate, {c.experts.hidden, c.width}, e),
                            expert(names::expert_up, {c.experts.hidden, c.width}, e),
                            expert(names::expert_down, {c.width, c.experts.hidden}, e)});
    return result;
  }

private:
  std::string name(const tensor_name& what, std::uint32_t expert = 0) const { return what.in(naming_, layer_, expert); }

  tensor_info norm(const tensor_name& what, std::uint32_t elements) {
    return find_.vector(name(what) + ".weight", elements);
  }

  tensor_info expert(const tensor_name& what, matrix_shape shape, std::uint32_t index) {
    const auto full = name(what, index) + ".weight";
    return naming_ == tensor_naming::gguf ? find_.slice(full, shape, index, config_.experts.count)
                                          : find_.matrix(full, shape);
  }

  tensor_finder& find_;
  tensor_naming naming_;
  const model_config& config_;
  std::uint32_t layer_;
};

} // namespace

std::uint64_t row_bytes(tensor_type type, std::uint64_t elements) {
  const auto packed = packing_of(type);
  if (packed.bytes == 0 || elements % packed.elements != 0)
    return 0;
  return elements / packed.elements * packed.bytes;
}

expected<model_tensors, error> find_model_tensors(const tensor_source& source, const model_config& config) {
  tensor_finder find{source};
  const auto naming = source.naming;
  model_tensors result;
  result.embedding = find.matrix(names::embedding.in(naming) + ".weight", {config.vocabulary, config.width});
  for (std::uint32_t i = 0; i < config.layers.size() && !find.first_error(); ++i)
    result.layers.push_back(layer_finder{find, naming, config, i}.all());
  result.output_norm = find.vector(names::output_norm.in(naming) + ".weight", config.width);
  const auto head = names::head.in(naming) + ".weight";
  if (source.tied_head)
    find.know(head);
  else
    result.head = find.matrix(head, {config.vocabulary, config.width});
  if (naming == tensor_naming::gguf)
    find.know(names::rope_divisors.in(naming) + ".weight"); // read with the numbers
  find.refuse_others(config.architecture);
  if (find.first_error())
    return unexpected{*find.first_error()};
  return result;
}

} // namespace troupe::gpu
