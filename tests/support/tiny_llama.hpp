// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "gpu/model/gguf.hpp"
#include "tests/support/gguf_writer.hpp"

namespace troupe::test {

/// Random quants of one matrix [rows][columns] with values of order 1 / sqrt(columns), as a GGUF file
/// stores them. Deterministic in `seed`.
std::vector<std::byte> random_matrix(gpu::tensor_type, std::uint64_t rows, std::uint64_t columns, std::uint64_t seed);

/// A Llama of random weights: a minute's model in a few hundred kilobytes, and what tests spoil to see how
/// a bad file is refused.
struct tiny_llama {
  std::uint32_t vocabulary = 160;
  std::uint32_t context_tokens = 2048;
  std::uint32_t width = 64;
  std::uint32_t layers = 2;
  std::uint32_t heads = 6;
  std::uint32_t kv_heads = 2;
  std::uint32_t head_width = 16;
  std::uint32_t hidden = 96;
  bool tied_head = true;
  /// Of embedding and head; of attention; of the feed-forward part.
  gpu::tensor_type embedding_type = gpu::tensor_type::q8_0;
  gpu::tensor_type attention_type = gpu::tensor_type::q4_1;
  gpu::tensor_type ffn_type = gpu::tensor_type::q4_0;
  /// Adds further keys and tensors.
  std::function<void(gguf_writer&)> more = {};

  /// One tensor as it is about to be written; an empty name leaves it out.
  struct tensor {
    std::string name;
    gpu::tensor_type type;
    std::vector<std::uint64_t> dims;
    std::vector<std::byte> data;
  };
  using spoiler = std::function<void(tensor&)>;

  /// The file's bytes, after `spoil` has seen each tensor.
  std::vector<std::byte> write(const spoiler& spoil = {}) const;
};

} // namespace troupe::test
