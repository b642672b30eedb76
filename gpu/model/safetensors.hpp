// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "gpu/model/gguf.hpp"
#include "gpu/model/mapped_file.hpp"

namespace troupe::gpu {

/// Caps on what a file's header may make us hold.
struct safetensors_limits {
  std::uint64_t header_bytes_max = std::uint64_t{100} << 20;
  std::uint64_t tensors_max = 1'000'000;
};

/// The tensors of a safetensors file, whose bytes are given: 8 bytes of length, a JSON object of names, types, shapes
/// and offsets, then the data. All is checked: lengths, the JSON's form and depth, shapes against bytes, and that
/// tensors neither overlap nor leave gaps, as the format demands. Spans point into `file`. At most four dimensions,
/// which come in GGUF's order. A tensor of a type that gguf.hpp does not name has no data and the type number
/// unknown_safetensors_type. errc::malformed_file with what is wrong, and the byte or tensor.
/// Source of the format: the safetensors crate's README.
expected<std::vector<tensor_info>, error> parse_safetensors(std::span<const std::byte> file,
                                                            safetensors_limits limits = {});

inline constexpr tensor_type unknown_safetensors_type{0xFFFF};

} // namespace troupe::gpu
