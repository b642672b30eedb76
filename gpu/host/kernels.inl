// SPDX-License-Identifier: Apache-2.0
// The one source of the host kernels, included by kernels_<path>.cpp inside an anonymous namespace; kernel_table.inl is
// its end.
// The including file gives: vector_bytes, path_index, direct_tokens_max, float_tokens_max, integer_tokens_max,
// block_tokens_max, float_gemv_groups, sum_vectors, splits_activations;
// fvec, uvec, hvec, ivec; madd, maximum, add_pairs, widen_half, widen_unsigned_bytes, widen_signed_bytes, reduce_add,
// and add_quads where activations are split. No function of the standard library here: see kernels.hpp.

constexpr int width = vector_bytes / 4; // lanes of one vector
constexpr int parts = 16 / width;       // vectors of 16 lanes

// --- 16 lanes as `parts` vectors -------------------------------------------------------------------

template <class V>
inline V load(const void* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

inline void store(float* p, fvec v) { __builtin_memcpy(p, &v, sizeof v); }

inline fvec broadcast(float x) { return x - fvec{}; }

inline fvec as_float(uvec v) { return reinterpret_cast<fvec>(v); }

/// e^x to about 1 ulp for x ≤ 88; 0 below −87. Cody-Waite reduction, then Taylor's series of degree 7
/// on |r| ≤ ln 2 / 2, where its remainder is 5e-9.
inline fvec exponential(fvec x) {
  const auto underflow = reinterpret_cast<uvec>(x < -87.0f);
  x = maximum(x, broadcast(-87.0f));
  x = -maximum(-x, broadcast(-88.0f));
  constexpr float rounder = 0x1.8p23f; // adding it rounds to an integer in the low mantissa bits
  const fvec shifted = madd(x, broadcast(0x1.715476p0f), broadcast(rounder));
  const fvec n = shifted - rounder;
  fvec r = madd(n, broadcast(-0x1.62e4p-1f), x); // ln 2, high bits: n × it is exact
  r = madd(n, broadcast(-0x1.7f7d1cp-20f), r);   // ln 2, the rest
  fvec p = madd(r, broadcast(1.0f / 5040), broadcast(1.0f / 720));
  p = madd(p, r, broadcast(1.0f / 120));
  p = madd(p, r, broadcast(1.0f / 24));
  p = madd(p, r, broadcast(1.0f / 6));
  p = madd(p, r, broadcast(0.5f));
  p = madd(p, r, broadcast(1.0f));
  p = madd(p, r, broadcast(1.0f));
  const uvec exponent = (reinterpret_cast<uvec>(shifted) << 23) + 0x3f800000u;
  const fvec y = p * as_float(exponent);
  return as_float(reinterpret_cast<uvec>(y) & ~underflow);
}

// --- matrix product --------------------------------------------------------------------------------

/// One vector of sums is done.
inline void finish(const matrix_product& a, std::uint32_t token, std::uint32_t group, int part, fvec sums) {
  float* out = a.out + token * a.out_stride + group * 16 + part * width;
  store(out, a.end == epilogue::add ? load<fvec>(out) + sums : sums);
}

#include "gpu/host/float_product.inl"
#include "gpu/host/integer_product.inl"

// Products: float_products, integer_products or tile_products of a format.

/// Many tokens: weights are widened once per tile and used for all tokens.
template <class Products>
void multiply_tiled(const matrix_product& a, std::uint32_t begin, std::uint32_t end) {
  typename Products::tile tiles[Products::tiles_together];
  [[maybe_unused]] const typename Products::session session;
  alignas(64) float sums[Products::pass_groups * product_tokens_max * 16];
  __builtin_memset(sums, 0, (end - begin) * a.tokens * 16 * sizeof(float));
  // Token blocks of nearly equal size, so that none is too small to keep the multipliers busy.
  const std::uint32_t blocks = (a.tokens + Products::block_tokens - 1) / Products::block_tokens;
  for (std::uint32_t k = 0; k < a.weights.columns; k += Products::tile_columns) {
    const std::uint32_t rest = a.weights.columns - k;
    const std::uint32_t columns = rest < Products::tile_columns ? rest : Products::tile_columns;
    for (std::uint32_t first = begin; first < end; first += Products::tiles_together) {
      const std::uint32_t rest_groups = end - first;
      const std::uint32_t groups = rest_groups < Products::tiles_together ? rest_groups : Products::tiles_together;
      for (std::uint32_t g = 0; g < groups; ++g)
        Products::widen_tile(a, first + g, k, columns, tiles[g]);
      for (std::uint32_t b = 0, token = 0; b < blocks; ++b) {
        const std::uint32_t next = (b + 1) * a.tokens / blocks;
        for (std::uint32_t g = 0; g < groups; ++g)
          Products::add_tokens(a, tiles[g], k, columns, token, static_cast<int>(next - token),
                               sums + ((first - begin + g) * a.tokens + token) * 16);
        token = next;
      }
    }
  }
  const float* sum = sums;
  for (std::uint32_t group = begin; group < end; ++group)
    for (std::uint32_t t = 0; t < a.tokens; ++t, sum += 16)
#pragma GCC unroll 4
      for (int i = 0; i < parts; ++i)
        finish(a, t, group, i, load<fvec>(sum + i * width));
}

/// Few tokens against one group: its vectors together while all sums fit the registers, else one after the other, so
/// that a weight is still widened once.
template <class Products, int T = 1>
inline void multiply_few(const matrix_product& a, std::uint32_t group) {
  if (a.tokens != T) {
    if constexpr (T < Products::few_tokens_max)
      multiply_few<Products, T + 1>(a, group);
  } else if constexpr (T <= direct_tokens_max) {
    Products::template rows<1, T, parts>(a, group, 0);
  } else {
    for (int i = 0; i < parts; ++i)
      Products::template rows<1, T, 1>(a, group, i);
  }
}

template <class Products>
void multiply_by(const matrix_product& a) {
  std::uint32_t group = a.group_begin;
  if (a.tokens > static_cast<std::uint32_t>(Products::few_tokens_max)) {
    for (; group < a.group_end; group += Products::pass_groups)
      multiply_tiled<Products>(
        a, group, a.group_end - group < Products::pass_groups ? a.group_end : group + Products::pass_groups);
    return;
  }
  if (a.tokens == 1)
    for (; group + Products::gemv_groups <= a.group_end; group += Products::gemv_groups)
      Products::template rows<Products::gemv_groups, 1, parts>(a, group, 0);
  for (; group < a.group_end; ++group)
    multiply_few<Products>(a, group);
}
