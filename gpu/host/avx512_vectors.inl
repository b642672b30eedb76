// SPDX-License-Identifier: Apache-2.0
// What the paths with 512-bit vectors share: all that kernels.inl asks for but path_index and add_pairs.

constexpr int vector_bytes = 64;
/// Tokens of a register block: 12 of 32 registers, enough to hide the latency of a fused multiply-add. A group is one
/// vector, so there are no parts.
constexpr int direct_tokens_max = 12;
constexpr int float_tokens_max = 12;
constexpr int integer_tokens_max = 8;
constexpr int block_tokens_max = 12;
constexpr int float_gemv_groups = 4;
/// Vectors of sums of attention that stay in registers.
constexpr int sum_vectors = 24;

using fvec = float __attribute__((vector_size(vector_bytes)));
using uvec = std::uint32_t __attribute__((vector_size(vector_bytes)));
using ivec = std::int32_t __attribute__((vector_size(vector_bytes)));
using hvec = std::uint16_t __attribute__((vector_size(vector_bytes / 2)));

inline fvec madd(fvec a, fvec b, fvec c) { return _mm512_fmadd_ps(a, b, c); }
inline fvec maximum(fvec a, fvec b) { return _mm512_max_ps(a, b); }
inline fvec widen_half(hvec h) { return _mm512_cvtph_ps(reinterpret_cast<__m256i>(h)); }

inline fvec widen_unsigned_bytes(const std::byte* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline fvec widen_signed_bytes(const std::byte* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline float reduce_add(const fvec (&v)[1]) {
  const __m256 s = _mm512_castps512_ps256(v[0]) + _mm512_extractf32x8_ps(v[0], 1);
  __m128 t = _mm256_castps256_ps128(s) + _mm256_extractf128_ps(s, 1);
  t = t + _mm_movehl_ps(t, t);
  return t[0] + t[1];
}
