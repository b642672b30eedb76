// SPDX-License-Identifier: Apache-2.0
// The kernels without fused multiply-add, in 128-bit vectors that every compiler target has.
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "gpu/host/kernels.hpp"

namespace troupe::gpu::host {
namespace {

constexpr int vector_bytes = 16;
constexpr int path_index = static_cast<int>(simd_path::portable);
/// Tokens whose sums fit the registers: of all four vectors (3 × 4 of 16 registers), and of one.
constexpr int direct_tokens_max = 3;
constexpr int float_tokens_max = 8;
constexpr int integer_tokens_max = 4;
constexpr int block_tokens_max = 3;
constexpr int float_gemv_groups = 1;
constexpr bool splits_activations = false;
/// Vectors of sums of attention that stay in registers.
constexpr int sum_vectors = 12;

using fvec = float __attribute__((vector_size(vector_bytes)));
using uvec = std::uint32_t __attribute__((vector_size(vector_bytes)));
using ivec = std::int32_t __attribute__((vector_size(vector_bytes)));
using hvec = std::uint16_t __attribute__((vector_size(vector_bytes / 2)));

inline fvec madd(fvec a, fvec b, fvec c) { return a * b + c; }
inline fvec maximum(fvec a, fvec b) {
  const auto greater = a > b;
  return reinterpret_cast<fvec>((reinterpret_cast<uvec>(a) & reinterpret_cast<uvec>(greater))
                                | (reinterpret_cast<uvec>(b) & ~reinterpret_cast<uvec>(greater)));
}

/// Exact f16 → f32: the exponent is moved by a multiplication, which also normalises subnormals.
inline fvec widen_half(hvec h) {
  const auto bits = __builtin_convertvector(h, uvec);
  const uvec magnitude = (bits & 0x7fffu) << 13;
  const uvec scaled = reinterpret_cast<uvec>(reinterpret_cast<fvec>(magnitude) * 0x1p112f);
  const auto special = reinterpret_cast<uvec>((bits & 0x7c00u) == 0x7c00u);
  return reinterpret_cast<fvec>(((bits & 0x8000u) << 16) | scaled | (special & 0x7f800000u));
}

inline std::uint32_t byte_at(const std::byte* p, int i) { return static_cast<std::uint32_t>(p[i]); }
inline fvec widen_unsigned_bytes(const std::byte* p) {
  return __builtin_convertvector(uvec{byte_at(p, 0), byte_at(p, 1), byte_at(p, 2), byte_at(p, 3)}, fvec);
}
inline fvec widen_signed_bytes(const std::byte* p) {
  const uvec v{byte_at(p, 0), byte_at(p, 1), byte_at(p, 2), byte_at(p, 3)};
  return __builtin_convertvector(reinterpret_cast<ivec>(v << 24) >> 24, fvec);
}
/// sums + w.low × x.low + w.high × x.high, of signed 16-bit halves.
inline ivec add_pairs(uvec w, uvec x, ivec sums) {
#if defined(__SSE2__)
  return sums + reinterpret_cast<ivec>(_mm_madd_epi16(reinterpret_cast<__m128i>(w), reinterpret_cast<__m128i>(x)));
#else
  const auto a = reinterpret_cast<ivec>(w), b = reinterpret_cast<ivec>(x);
  return sums + (a >> 16) * (b >> 16) + (a << 16 >> 16) * (b << 16 >> 16);
#endif
}

inline float reduce_add(const fvec (&v)[4]) {
  fvec s = (v[0] + v[2]) + (v[1] + v[3]);
  s = s + __builtin_shuffle(s, uvec{2, 3, 0, 1});
  return s[0] + s[1];
}

#include "gpu/host/kernels.inl"

template <class F>
using quant_products = integer_products<F>;

#include "gpu/host/kernel_table.inl"

} // namespace

const kernel_table portable_kernels = kernels;

} // namespace troupe::gpu::host
