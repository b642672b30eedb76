// SPDX-License-Identifier: Apache-2.0
// The kernels for AVX2, FMA and F16C: 2 vectors of 8 lanes.
#include <immintrin.h>

#include "gpu/host/kernels.hpp"

namespace troupe::gpu::host {
namespace {

constexpr int vector_bytes = 32;
constexpr int path_index = static_cast<int>(simd_path::avx2);
/// Tokens whose sums fit the registers: of both vectors beside widened weights, of one vector, and of both where the
/// weights are widened in memory (6 × 2 of 16 registers).
constexpr int direct_tokens_max = 3;
constexpr int float_tokens_max = 10;
constexpr int integer_tokens_max = 4;
constexpr int block_tokens_max = 6;
constexpr int float_gemv_groups = 2;
constexpr bool splits_activations = false;
/// Vectors of sums of attention that stay in registers.
constexpr int sum_vectors = 12;

using fvec = float __attribute__((vector_size(vector_bytes)));
using uvec = std::uint32_t __attribute__((vector_size(vector_bytes)));
using ivec = std::int32_t __attribute__((vector_size(vector_bytes)));
using hvec = std::uint16_t __attribute__((vector_size(vector_bytes / 2)));

inline fvec madd(fvec a, fvec b, fvec c) { return _mm256_fmadd_ps(a, b, c); }
inline fvec maximum(fvec a, fvec b) { return _mm256_max_ps(a, b); }
inline fvec widen_half(hvec h) { return _mm256_cvtph_ps(reinterpret_cast<__m128i>(h)); }

inline fvec widen_unsigned_bytes(const std::byte* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadu_si64(p)));
}
inline fvec widen_signed_bytes(const std::byte* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadu_si64(p)));
}
/// sums + w.low × x.low + w.high × x.high, of signed 16-bit halves.
inline ivec add_pairs(uvec w, uvec x, ivec sums) {
  return sums + reinterpret_cast<ivec>(_mm256_madd_epi16(reinterpret_cast<__m256i>(w), reinterpret_cast<__m256i>(x)));
}

inline float reduce_add(const fvec (&v)[2]) {
  const __m256 s = v[0] + v[1];
  __m128 t = _mm256_castps256_ps128(s) + _mm256_extractf128_ps(s, 1);
  t = t + _mm_movehl_ps(t, t);
  return t[0] + t[1];
}

#include "gpu/host/kernels.inl"

template <class F>
using quant_products = integer_products<F>;

#include "gpu/host/kernel_table.inl"

} // namespace

const kernel_table avx2_kernels = kernels;

} // namespace troupe::gpu::host
