// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "gpu/host/kernels.hpp"
#include "gpu/model/gguf.hpp"

namespace troupe::gpu::host {

/// Rounded up to whole vectors of 16.
constexpr std::uint32_t padded(std::uint32_t elements) { return (elements + lanes - 1) / lanes * lanes; }

/// REQUIRES: one of tensor_type's.
packed_type packed_type_of(tensor_type);

/// Bytes of the packed form of a matrix.
std::uint64_t packed_bytes(tensor_type, std::uint32_t rows, std::uint32_t columns);

/// Repacks a GGUF matrix [rows][columns] into `out`, which holds packed_bytes() zero bytes and outlives
/// the view. No value changes. REQUIRES: the tensor's type, shape and bytes were checked
/// (find_model_tensors).
packed_view pack(const tensor_info&, std::byte* out);

/// The f32 values of one row, the same on every path. Scale times quant is exact in f32; adding a minimum rounds once.
void unpack_row(const packed_view&, std::uint32_t row, float* out);

/// The f32 of an IEEE half, exactly.
float half_to_float(std::uint16_t);

} // namespace troupe::gpu::host
