// SPDX-License-Identifier: Apache-2.0
// The kernels for AMX: many tokens by tiles, bf16 weights always, all else as on AVX-512 with VNNI.
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

#include "gpu/host/bfloat_product.inl"

void multiply_by_tiles(const matrix_product& a) {
  if (a.weights.type == packed_type::bf16)
    multiply_bfloats(a);
  else
    multiply(a);
}

constexpr kernel_table kernels_with_bfloats() {
  auto table = kernels;
  table.multiply = &multiply_by_tiles;
  table.split_bfloats = &split_bfloats;
  return table;
}

} // namespace

const kernel_table amx_kernels = kernels_with_bfloats();

} // namespace troupe::gpu::host
