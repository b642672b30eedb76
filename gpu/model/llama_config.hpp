// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "gpu/errc.hpp"
#include "gpu/model/gguf.hpp"

namespace troupe::gpu {

/// The numbers of a Llama-architecture model, read from GGUF metadata and checked against each other.
struct llama_config {
  std::uint32_t vocabulary = 0;
  std::uint32_t context_tokens = 0;
  /// Width of the residual stream.
  std::uint32_t width = 0;
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;
  /// Divides heads; heads / kv_heads query heads share one key and value.
  std::uint32_t kv_heads = 0;
  /// Elements of one head; even, since rope turns pairs.
  std::uint32_t head_width = 0;
  /// Width of the feed-forward part.
  std::uint32_t hidden = 0;
  float rms_epsilon = 0;
  double rope_base = 0;

  std::uint32_t heads_per_kv() const { return heads / kv_heads; }
  std::uint32_t query_width() const { return heads * head_width; }
  std::uint32_t kv_width() const { return kv_heads * head_width; }
};

/// Errors: errc::unsupported for another architecture, rope scaling or experts; errc::missing for a
/// key that is absent or of another type; errc::malformed_file for numbers out of their bounds. Each
/// names the key.
expected<llama_config, error> read_llama_config(const gguf_file&);

} // namespace troupe::gpu
