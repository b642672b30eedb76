// SPDX-License-Identifier: Apache-2.0
// What the paths with 512-bit vectors share: all that kernels.inl asks for but path_index and add_pairs.

constexpr int vector_bytes = 64;
/// Tokens of a register block: 12 of 32 registers, enough to hide the latency of a fused multiply-add. A group is one
/// vector, so there are no parts.
constexpr int direct_tokens_max = 12;
constexpr int float_tokens_max = 12;
constexpr int integer_tokens_max = 8;
constexpr int block_tokens_max = 12;
constexpr int gemv_groups = 4;
constexpr int rows_at_once = 3;
constexpr int keys_at_once = 4;

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

/// Lane k of the result is reduce_add(v[k]), by the same additions: halves of two rows change places before each.
inline fvec reduce_lanes(const fvec (&v)[16][1]) {
  __m512 eights[8], fours[4], pairs[2];
#pragma GCC unroll 8
  for (int k = 0; k < 8; ++k) {
    const __m512 a = v[2 * k][0], b = v[2 * k + 1][0];
    eights[k] = _mm512_shuffle_f32x4(a, b, 0x44) + _mm512_shuffle_f32x4(a, b, 0xee);
  }
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) {
    const __m512 a = eights[2 * k], b = eights[2 * k + 1];
    fours[k] = _mm512_shuffle_f32x4(a, b, 0x88) + _mm512_shuffle_f32x4(a, b, 0xdd);
  }
#pragma GCC unroll 2
  for (int k = 0; k < 2; ++k) {
    const auto a = _mm512_castps_pd(fours[2 * k]), b = _mm512_castps_pd(fours[2 * k + 1]);
    pairs[k] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b)) + _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
  }
  // Rows 0 4 8 12, 1 5 9 13, …
  const __m512 sums =
    _mm512_shuffle_ps(pairs[0], pairs[1], 0x88) + _mm512_shuffle_ps(pairs[0], pairs[1], 0xdd);
  return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), sums);
}
