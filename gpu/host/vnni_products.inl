// SPDX-License-Identifier: Apache-2.0
// What VNNI adds to avx512_vectors.inl.

/// sums + w.low × x.low + w.high × x.high, of signed 16-bit halves.
inline ivec add_pairs(uvec w, uvec x, ivec sums) {
  return reinterpret_cast<ivec>(
    _mm512_dpwssd_epi32(reinterpret_cast<__m512i>(sums), reinterpret_cast<__m512i>(w), reinterpret_cast<__m512i>(x)));
}

constexpr bool splits_activations = true;

/// sums + Σ of four products of unsigned bytes of w and signed ones of x.
inline ivec add_quads(uvec w, uvec x, ivec sums) {
  return reinterpret_cast<ivec>(
    _mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sums), reinterpret_cast<__m512i>(w), reinterpret_cast<__m512i>(x)));
}
