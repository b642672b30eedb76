// SPDX-License-Identifier: Apache-2.0
// The kernels for AMX: many tokens by tiles, all else as on AVX-512 with VNNI.
#include <immintrin.h>

#include "gpu/host/kernels.hpp"

namespace troupe::gpu::host {
namespace {

constexpr int path_index = static_cast<int>(simd_path::amx);

#include "gpu/host/avx512_vectors.inl"

#include "gpu/host/vnni_products.inl"

#include "gpu/host/kernels.inl"
#include "gpu/host/tile_product.inl"

template <class F>
using quant_products = tile_products<F>;

#include "gpu/host/kernel_table.inl"

} // namespace

const kernel_table amx_kernels = kernels;

} // namespace troupe::gpu::host
