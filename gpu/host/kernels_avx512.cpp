// SPDX-License-Identifier: Apache-2.0
// The kernels for AVX-512: 1 vector of 16 lanes.
#include <immintrin.h>

#include "gpu/host/kernels.hpp"

namespace troupe::gpu::host {
namespace {

constexpr int path_index = static_cast<int>(simd_path::avx512);

#include "gpu/host/avx512_vectors.inl"

constexpr bool splits_activations = false;

/// sums + w.low × x.low + w.high × x.high, of signed 16-bit halves.
inline ivec add_pairs(uvec w, uvec x, ivec sums) {
  return sums + reinterpret_cast<ivec>(_mm512_madd_epi16(reinterpret_cast<__m512i>(w), reinterpret_cast<__m512i>(x)));
}

#include "gpu/host/kernels.inl"

template <class F>
using quant_products = integer_products<F>;

#include "gpu/host/kernel_table.inl"

} // namespace

const kernel_table avx512_kernels = kernels;

} // namespace troupe::gpu::host
