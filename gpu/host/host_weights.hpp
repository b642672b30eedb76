// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "gpu/host/kernels.hpp"
#include "gpu/host/mapped_memory.hpp"
#include "gpu/model/gguf.hpp"
#include "gpu/model/llama_config.hpp"

namespace troupe::gpu::host {

/// How far loading has come.
struct load_progress {
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;
};

/// One layer's weights. Norms are padded with zeros to whole vectors.
struct host_layer {
  std::vector<float> attention_norm;
  packed_view query, key, value, attention_out;
  std::vector<float> ffn_norm;
  packed_view gate, up, down;
};

/// A model's weights, repacked for the kernels of every path and still quantised. Loaded once per
/// process, immutable, shared by its executors. The file may be closed afterwards.
class host_weights {
public:
  /// `progress` is called on this thread, at most once per tensor; done equals total at the end.
  /// Errors name the tensor or key: see read_llama_config and find_llama_tensors.
  static expected<std::shared_ptr<const host_weights>, error>
  load(const gguf_file&, const std::function<void(load_progress)>& progress = {});

  const llama_config& config() const { return config_; }
  const packed_view& embedding() const { return embedding_; }
  std::span<const host_layer> layers() const { return layers_; }
  std::span<const float> output_norm() const { return output_norm_; }
  const packed_view& head() const { return head_; }

  /// Cosines and sines of a position, [head_width / 2] each, rounded from double.
  std::span<const float> rope_cosines(std::uint32_t position) const { return rope_row(rope_cosines_, position); }
  std::span<const float> rope_sines(std::uint32_t position) const { return rope_row(rope_sines_, position); }

  /// XXH3-64 over the architecture's numbers and every tensor's name, type and bytes, in name order.
  std::uint64_t hash() const { return hash_; }
  /// Bytes of memory that the packed weights take.
  std::uint64_t bytes() const { return memory_.bytes(); }

private:
  host_weights() = default;
  std::span<const float> rope_row(const std::vector<float>& table, std::uint32_t position) const {
    const std::size_t pairs = config_.head_width / 2;
    return std::span{table}.subspan(position * pairs, pairs);
  }
  void fill_rope_tables();

  llama_config config_;
  mapped_memory memory_;
  packed_view embedding_;
  std::vector<host_layer> layers_;
  std::vector<float> output_norm_;
  packed_view head_;
  std::vector<float> rope_cosines_;
  std::vector<float> rope_sines_;
  std::uint64_t hash_ = 0;
};

} // namespace troupe::gpu::host
