// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "gpu/errc.hpp"
#include "gpu/model/gguf.hpp"
#include "gpu/model/llama_config.hpp"

namespace troupe::gpu {

/// The tensors of one layer, inside the mapped file. Matrices are [out][in], `in` contiguous.
struct llama_layer_tensors {
  const tensor_info* attention_norm = nullptr; // [width]
  const tensor_info* query = nullptr;          // [heads × head_width][width]
  const tensor_info* key = nullptr;            // [kv_heads × head_width][width]
  const tensor_info* value = nullptr;          // [kv_heads × head_width][width]
  const tensor_info* attention_out = nullptr;  // [width][heads × head_width]
  const tensor_info* ffn_norm = nullptr;       // [width]
  const tensor_info* gate = nullptr;           // [hidden][width]
  const tensor_info* up = nullptr;             // [hidden][width]
  const tensor_info* down = nullptr;           // [width][hidden]
};

/// All tensors of a Llama model. Valid as long as the file is open.
struct llama_tensors {
  const tensor_info* embedding = nullptr; // [vocabulary][width]
  std::vector<llama_layer_tensors> layers;
  const tensor_info* output_norm = nullptr; // [width]
  /// The embedding itself if the file has no output.weight (a tied head).
  const tensor_info* head = nullptr; // [vocabulary][width]
};

/// Finds every tensor of the architecture and checks type, shape and bytes; also that the file has no
/// tensor that the architecture does not know, because leaving one out would compute another model.
/// Errors name the tensor: errc::missing for absence or shape, errc::unsupported for a type or an
/// unknown tensor.
expected<llama_tensors, error> find_llama_tensors(const gguf_file&, const llama_config&);

/// Bytes of a row of `elements`; 0 if the type is unknown or does not divide the row into whole blocks.
std::uint64_t row_bytes(tensor_type, std::uint64_t elements);

} // namespace troupe::gpu
