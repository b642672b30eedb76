// SPDX-License-Identifier: Apache-2.0
// The kernels for AVX-512 with VNNI, which adds products of 16-bit pairs, or of 8-bit quads, in one instruction.
#include <immintrin.h>

#include "gpu/host/kernels.hpp"

namespace troupe::gpu::host {
namespace {

constexpr int path_index = static_cast<int>(simd_path::avx512_vnni);

#include "gpu/host/avx512_vectors.inl"

#include "gpu/host/vnni_products.inl"

#include "gpu/host/kernels.inl"

template <class F>
using quant_products = integer_products<F>;

#include "gpu/host/kernel_table.inl"

} // namespace

const kernel_table avx512_vnni_kernels = kernels;

} // namespace troupe::gpu::host
