// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "gpu/model/gguf.hpp"
#include "gpu/model/model_config.hpp"

namespace troupe::gpu {

/// A linear map: weight [out][in], `in` contiguous, and bias [out].
struct projection_tensors {
  tensor_info weight;
  std::optional<tensor_info> bias;
};

/// A feed-forward part, or one expert of it.
struct gated_tensors {
  tensor_info gate; // [hidden][width]
  tensor_info up;   // [hidden][width]
  tensor_info down; // [width][hidden]
};

/// The tensors of one layer. Norms are [width], those of heads [head_width].
struct layer_tensors {
  tensor_info attention_norm;
  projection_tensors query;         // out: heads × head_width
  projection_tensors key;           // out: kv_heads × head_width
  projection_tensors value;         // out: kv_heads × head_width
  projection_tensors attention_out; // in: heads × head_width
  std::optional<tensor_info> query_norm;
  std::optional<tensor_info> key_norm;
  std::optional<tensor_info> post_attention_norm;
  tensor_info ffn_norm;
  /// One, or one for each expert.
  std::vector<gated_tensors> ffn;
  std::optional<tensor_info> router; // [experts][width]
  std::optional<tensor_info> post_ffn_norm;
};

/// All tensors of a model, inside its mapped files.
struct model_tensors {
  tensor_info embedding; // [vocabulary][width]
  std::vector<layer_tensors> layers;
  tensor_info output_norm;
  /// Nothing if the embedding is the head as well.
  std::optional<tensor_info> head; // [vocabulary][width]
};

/// How a file format names tensors.
enum class tensor_naming : std::uint8_t { gguf, transformers };

/// What a file has.
struct tensor_source {
  tensor_naming naming{};
  std::span<const tensor_info> all;
  std::function<const tensor_info*(std::string_view name)> find;
  /// Whether the head is the embedding although there may be a tensor for it.
  bool tied_head = false;
};

/// Finds every tensor of the architecture and checks type, shape and bytes; also that there is no tensor that the
/// architecture does not know, because leaving one out would compute another model. Errors name the tensor:
/// errc::missing for absence or shape, errc::unsupported for a type or an unknown tensor.
expected<model_tensors, error> find_model_tensors(const tensor_source&, const model_config&);

/// Bytes of a row of `elements`; 0 if the type is unknown or does not divide the row into whole blocks.
std::uint64_t row_bytes(tensor_type, std::uint64_t elements);

} // namespace troupe::gpu
