// SPDX-License-Identifier: Apache-2.0
#include "gpu/host/host_weights.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <vector>

#include "gpu/host/packed_matrix.hpp"
#include "gpu/model/llama_tensors.hpp"

namespace troupe::gpu::host {

namespace {

constexpr std::uint64_t matrix_alignment = 64;

std::uint64_t aligned(std::uint64_t bytes) {
  return (bytes + matrix_alignment - 1) / matrix_alignment * matrix_alignment;
}

std::uint64_t aligned_packed_bytes(const tensor_info& tensor) {
  return aligned(
    packed_bytes(tensor.type, static_cast<std::uint32_t>(tensor.dims[1]), static_cast<std::uint32_t>(tensor.dims[0])));
}

std::uint64_t packed_bytes_of(const llama_tensors& tensors) {
  std::uint64_t bytes = aligned_packed_bytes(*tensors.embedding);
  if (tensors.head != tensors.embedding)
    bytes += aligned_packed_bytes(*tensors.head);
  for (const auto& layer : tensors.layers)
    for (const auto* tensor :
         {layer.query, layer.key, layer.value, layer.attention_out, layer.gate, layer.up, layer.down})
      bytes += aligned_packed_bytes(*tensor);
  return bytes;
}

/// Packs tensors one behind another and reports progress.
class packer {
public:
  packer(std::byte* out, std::uint64_t file_bytes, const std::function<void(load_progress)>& progress)
    : out_(out), progress_(progress) {
    state_.bytes_total = file_bytes;
  }

  packed_view matrix(const tensor_info& tensor) {
    const auto view = pack(tensor, out_);
    out_ += aligned_packed_bytes(tensor);
    advance(tensor);
    return view;
  }

  std::vector<float> vector(const tensor_info& tensor) {
    std::vector<float> result(padded(static_cast<std::uint32_t>(tensor.dims[0])));
    std::memcpy(result.data(), tensor.data.data(), tensor.data.size());
    advance(tensor);
    return result;
  }

private:
  void advance(const tensor_info& tensor) {
    state_.bytes_done += tensor.data.size();
    if (progress_)
      progress_(state_);
  }

  std::byte* out_;
  const std::function<void(load_progress)>& progress_;
  load_progress state_;
};

std::uint64_t hash_model(const gguf_file& file, const llama_config& config) {
  std::vector<const tensor_info*> tensors;
  for (const auto& tensor : file.tensors())
    tensors.push_back(&tensor);
  std::ranges::sort(tensors, {}, &tensor_info::name);
  // Numbers one by one: structs may have padding.
  std::vector<std::uint64_t> numbers{config.vocabulary, config.context_tokens, config.width,      config.layers,
                                     config.heads,      config.kv_heads,       config.head_width, config.hidden};
  for (double number : {static_cast<double>(config.rms_epsilon), config.rope_base})
    numbers.push_back(XXH3_64bits(&number, sizeof number));
  for (const auto* tensor : tensors) {
    numbers.push_back(XXH3_64bits(tensor->name.data(), tensor->name.size()));
    numbers.push_back(static_cast<std::uint64_t>(tensor->type));
    numbers.push_back(XXH3_64bits(tensor->data.data(), tensor->data.size()));
  }
  return XXH3_64bits(numbers.data(), numbers.size() * sizeof numbers[0]);
}

} // namespace

void host_weights::fill_rope_tables() {
  const std::uint32_t pairs = config_.head_width / 2;
  std::vector<double> frequencies(pairs);
  for (std::uint32_t i = 0; i < pairs; ++i)
    frequencies[i] = std::pow(config_.rope_base, -2.0 * i / config_.head_width);
  rope_cosines_.resize(std::size_t{config_.context_tokens} * pairs);
  rope_sines_.resize(rope_cosines_.size());
  for (std::size_t i = 0; i < rope_cosines_.size(); ++i) {
    const double angle = static_cast<double>(i / pairs) * frequencies[i % pairs];
    rope_cosines_[i] = static_cast<float>(std::cos(angle));
    rope_sines_[i] = static_cast<float>(std::sin(angle));
  }
}

expected<std::shared_ptr<const host_weights>, error>
host_weights::load(const gguf_file& file, const std::function<void(load_progress)>& progress) try {
  auto config = read_llama_config(file);
  if (!config)
    return unexpected{config.error()};
  auto tensors = find_llama_tensors(file, *config);
  if (!tensors)
    return unexpected{tensors.error()};
  auto memory = mapped_memory::make(packed_bytes_of(*tensors));
  if (!memory)
    return unexpected{memory.error()};

  std::shared_ptr<host_weights> result{new host_weights};
  result->config_ = *config;
  result->memory_ = std::move(*memory);
  result->memory_.prefer_huge_pages();

  std::uint64_t file_bytes = 0;
  for (const auto& tensor : file.tensors())
    file_bytes += tensor.data.size();
  packer pack{result->memory_.data(), file_bytes, progress};
  result->embedding_ = pack.matrix(*tensors->embedding);
  result->head_ = tensors->head == tensors->embedding ? result->embedding_ : pack.matrix(*tensors->head);
  for (const auto& layer : tensors->layers) {
    auto& out = result->layers_.emplace_back();
    out.attention_norm = pack.vector(*layer.attention_norm);
    out.query = pack.matrix(*layer.query);
    out.key = pack.matrix(*layer.key);
    out.value = pack.matrix(*layer.value);
    out.attention_out = pack.matrix(*layer.attention_out);
    out.ffn_norm = pack.vector(*layer.ffn_norm);
    out.gate = pack.matrix(*layer.gate);
    out.up = pack.matrix(*layer.up);
    out.down = pack.matrix(*layer.down);
  }
  result->output_norm_ = pack.vector(*tensors->output_norm);
  result->fill_rope_tables();
  result->hash_ = hash_model(file, *config);
  return std::shared_ptr<const host_weights>{std::move(result)};
} catch (const std::bad_alloc&) {
  return fail(errc::resource, "not enough memory for the weights of " + file.path().string());
}

} // namespace troupe::gpu::host
