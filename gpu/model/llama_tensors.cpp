// SPDX-License-Identifier: Apache-2.0
#include "gpu/model/llama_tensors.hpp"

#include <optional>
#include <string>
#include <unordered_set>

namespace troupe::gpu {

namespace {

std::string shape_text(std::uint64_t columns, std::uint64_t rows) {
  return "[" + std::to_string(columns) + ", " + std::to_string(rows) + "]";
}

/// Finds tensors and keeps the first error.
class tensor_finder {
public:
  explicit tensor_finder(const gguf_file& file) : file_(file) {}

  const tensor_info* matrix(const std::string& name, std::uint64_t rows, std::uint64_t columns) {
    if (error_)
      return nullptr;
    const auto* tensor = file_.find_tensor(name);
    if (tensor == nullptr)
      return error_ = error{errc::missing, "there is no tensor " + name}, nullptr;
    const auto& dims = tensor->dims;
    if (dims[0] != columns || dims[1] != rows || dims[2] != 1 || dims[3] != 1) {
      error_ = error{errc::missing, "tensor " + name + " has shape " + shape_text(dims[0], dims[1]) + ", expected "
                                      + shape_text(columns, rows)};
      return nullptr;
    }
    if (packing_of(tensor->type).bytes == 0)
      return error_ = error{errc::unsupported, "tensor " + name + " is of type " + to_string(tensor->type)}, nullptr;
    const auto bytes = row_bytes(tensor->type, columns);
    if (bytes == 0 || tensor->data.size() != bytes * rows) {
      error_ = error{errc::malformed_file, "tensor " + name + " of type " + to_string(tensor->type) + " and shape "
                                             + shape_text(columns, rows) + " has " + std::to_string(tensor->data.size())
                                             + " bytes"};
      return nullptr;
    }
    known_.insert(name);
    return tensor;
  }

  /// Norm weights are few and are read as they are.
  const tensor_info* vector(const std::string& name, std::uint64_t elements) {
    const auto* tensor = matrix(name, 1, elements);
    if (tensor != nullptr && tensor->type != tensor_type::f32)
      return error_ = error{errc::unsupported,
                            "tensor " + name + " is of type " + to_string(tensor->type) + ", norms are F32"},
             nullptr;
    return tensor;
  }

  void refuse_others() {
    for (const auto& tensor : file_.tensors())
      if (!error_ && !known_.contains(tensor.name))
        error_ = error{errc::unsupported, "tensor " + tensor.name + " is not part of a llama model"};
  }

  const std::optional<error>& first_error() const { return error_; }

private:
  const gguf_file& file_;
  std::unordered_set<std::string> known_;
  std::optional<error> error_;
};

} // namespace

std::uint64_t row_bytes(tensor_type type, std::uint64_t elements) {
  const auto packed = packing_of(type);
  if (packed.bytes == 0 || elements % packed.elements != 0)
    return 0;
  return elements / packed.elements * packed.bytes;
}

expected<llama_tensors, error> find_llama_tensors(const gguf_file& file, const llama_config& config) {
  tensor_finder find{file};
  llama_tensors result;
  result.embedding = find.matrix("token_embd.weight", config.vocabulary, config.width);
  result.layers.resize(config.layers);
  for (std::uint32_t i = 0; i < config.layers && !find.first_error(); ++i) {
    const auto prefix = "blk." + std::to_string(i) + ".";
    auto& layer = result.layers[i];
    layer.attention_norm = find.vector(prefix + "attn_norm.weight", config.width);
    layer.query = find.matrix(prefix + "attn_q.weight", config.query_width(), config.width);
    layer.key = find.matrix(prefix + "attn_k.weight", config.kv_width(), config.width);
    layer.value = find.matrix(prefix + "attn_v.weight", config.kv_width(), config.width);
    layer.attention_out = find.matrix(prefix + "attn_output.weight", config.width, config.query_width());
    layer.ffn_norm = find.vector(prefix + "ffn_norm.weight", config.width);
    layer.gate = find.matrix(prefix + "ffn_gate.weight", config.hidden, config.width);
    layer.up = find.matrix(prefix + "ffn_up.weight", config.hidden, config.width);
    layer.down = find.matrix(prefix + "ffn_down.weight", config.width, config.hidden);
  }
  result.output_norm = find.vector("output_norm.weight", config.width);
  result.head = file.find_tensor("output.weight") == nullptr
                  ? result.embedding
                  : find.matrix("output.weight", config.vocabulary, config.width);
  find.refuse_others();
  if (find.first_error())
    return unexpected{*find.first_error()};
  return result;
}

} // namespace troupe::gpu
