// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "gpu/model/gguf.hpp"

namespace troupe::gpu::host {

/// What matrices are kept as in memory.
enum class weight_format : std::uint8_t { as_stored, f32, bf16, q8_0 };

/// "auto" is as_stored; nothing for another word.
std::optional<weight_format> weight_format_from_string(std::string_view);

/// The type that a matrix of `stored` gets. Rows that are not whole blocks of the format keep theirs.
tensor_type converted_type(tensor_type stored, std::uint64_t columns, weight_format);

/// The matrix in another type, as a file would store it. Numbers are rounded to the nearest, ties to even; q8_0 is
/// GGML's: per 32 columns the scale is the largest magnitude / 127, as f16. REQUIRES: `to` is f32, bf16 or q8_0.
std::vector<std::byte> convert_matrix(const tensor_info&, tensor_type to);

/// The numbers of a vector of f32, f16 or bf16.
std::vector<float> to_floats(const tensor_info&);

/// Nearest, ties to even; beyond the largest: infinity.
std::uint16_t float_to_half(float);
std::uint16_t float_to_bfloat(float);

} // namespace troupe::gpu::host
