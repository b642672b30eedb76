// SPDX-License-Identifier: Apache-2.0
// The kernels for AVX-512 with VNNI, which adds products of 16-bit pairs in one instruction.
#include <immintrin.h>

#include "gpu/host/kernels.hpp"

namespace troupe::gpu::host {
namespace {

constexpr int path_index = static_cast<int>(simd_path::avx512_vnni);

#include "gpu/host/avx512_vectors.inl"

/// sums + w.low × x.low + w.high × x.high, of signed 16-bit halves.
inline ivec add_pairs(uvec w, uvec x, ivec sums) {
  return reinterpret_cast<ivec>(_mm512_dpwssd_epi32(reinterpret_cast<__m512i>(sums), reinterpret_cast<__m512i>(w),
                                                    reinterpret_cast<__m512i>(x)));
}

#include "gpu/host/kernels.inl"

template <class F>
using quant_products = integer_products<F>;

#include "gpu/host/kernel_table.inl"

} // namespace

const kernel_table avx512_vnni_kernels = kernels;

} // namespace troupe::gpu::host
