// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "gpu/host/convert_matrix.hpp"
#include "gpu/host/kernels.hpp"
#include "gpu/host/mapped_memory.hpp"
#include "gpu/model/describe_model.hpp"

namespace troupe::gpu::host {

/// How far loading has come.
struct load_progress {
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;
};

/// A linear map. The bias, if any, is padded with zeros to whole vectors.
struct host_projection {
  packed_view weight;
  std::vector<float> bias;
};

/// A feed-forward part, or one expert of it.
struct host_ffn {
  packed_view gate, up, down;
};

/// One layer's weights. Norms are padded with zeros to whole vectors; empty: there is none.
struct host_layer {
  std::vector<float> attention_norm, query_norm, key_norm, post_attention_norm, ffn_norm, post_ffn_norm;
  host_projection query, key, value, attention_out;
  /// One, or one for each expert.
  std::vector<host_ffn> ffn;
  packed_view router;
};

/// A model's weights, repacked for the kernels of every path. Loaded once per process, immutable, shared by its
/// executors. The files may be closed afterwards.
class host_weights {
public:
  /// Converts matrices to `format`, and packs, with as many threads as there are usable cores. `progress` is called on
  /// this thread, about ten times a second and at the end, when done equals total. errc::resource if there is no
  /// memory.
  static expected<std::shared_ptr<const host_weights>, error>
  load(const model_description&, weight_format format = weight_format::as_stored,
       const std::function<void(load_progress)>& progress = {});

  const model_config& config() const { return config_; }
  const packed_view& embedding() const { return embedding_; }
  std::span<const host_layer> layers() const { return layers_; }
  std::span<const float> output_norm() const { return output_norm_; }
  const packed_view& head() const { return head_; }

  /// Whether a matrix is of this type, an embedding that is only looked up left out.
  bool has(packed_type type) const { return (types_ >> static_cast<unsigned>(type) & 1u) != 0; }

  /// XXH3-64 over the architecture's numbers, the format, and every tensor's name, type and bytes.
  std::uint64_t hash() const { return hash_; }
  /// Bytes of memory that the packed weights take.
  std::uint64_t bytes() const { return memory_.bytes(); }

private:
  friend class weight_loader;
  host_weights() = default;

  model_config config_;
  mapped_memory memory_;
  packed_view embedding_;
  std::vector<host_layer> layers_;
  std::vector<float> output_norm_;
  packed_view head_;
  /// Bit n: a matrix that is multiplied is of the type n.
  std::uint32_t types_ = 0;
  std::uint64_t hash_ = 0;
};

} // namespace troupe::gpu::host
