// SPDX-License-Identifier: Apache-2.0
// Products of f32, f16 and bf16 weights and f32 activations. Part of kernels.inl.

// Each format: columns that lie together, their bytes in a vector of rows, and one of them widened.

struct format_f32 {
  static constexpr int columns = 1, vector_step = vector_bytes;
  using raw = fvec;
  template <int>
  static fvec widen(raw v) {
    return v;
  }
};

struct format_f16 {
  static constexpr int columns = 1, vector_step = vector_bytes / 2;
  using raw = hvec;
  template <int>
  static fvec widen(raw v) {
    return widen_half(v);
  }
};

struct format_bf16 {
  static constexpr int columns = 2, vector_step = vector_bytes;
  using raw = uvec;
  template <int Column>
  static fvec widen(raw v) {
    return as_float(Column == 0 ? v << 16 : v & 0xffff0000u);
  }
};

/// Column C of those that lie together, for T tokens; x is at it.
template <class F, int C, int G, int T, int V>
inline void add_column(const typename F::raw (&weights)[G][V], const float* x, std::size_t x_stride,
                       fvec (&acc)[T][G][V]) {
  fvec xs[T];
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t)
    xs[t] = broadcast(x[t * x_stride]);
#pragma GCC unroll 4
  for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
    for (int i = 0; i < V; ++i) {
      const fvec w = F::template widen<C>(weights[g][i]);
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t)
        acc[t][g][i] = madd(w, xs[t], acc[t][g][i]);
    }
}

/// T tokens against V vectors, from `part` on, of each of G neighbouring groups; weights are widened in registers.
template <class F, int G, int T, int V>
void multiply_rows(const matrix_product& a, std::uint32_t group, int part) {
  const std::byte* p = a.weights.data + group * a.weights.group_bytes + part * F::vector_step;
  const float* x = a.x;
  fvec acc[T][G][V] = {};
  for (std::uint32_t k = 0; k < a.weights.columns; k += F::columns, p += parts * F::vector_step, x += F::columns) {
    typename F::raw weights[G][V];
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
      for (int i = 0; i < V; ++i)
        weights[g][i] = load<typename F::raw>(p + g * a.weights.group_bytes + i * F::vector_step);
    add_column<F, 0>(weights, x, a.x_stride, acc);
    if constexpr (F::columns == 2)
      if (k + 1 < a.weights.columns)
        add_column<F, 1>(weights, x + 1, a.x_stride, acc);
  }
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t)
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
      for (int i = 0; i < V; ++i)
        finish(a, t, group + g, part + i, acc[t][g][i]);
}

/// Columns of a widened tile: 16 KiB of weights, which stay in L1 beside the activations.
constexpr std::uint32_t float_tile_columns = 256;

struct float_tile {
  alignas(64) float weights[float_tile_columns * 16];
};

/// Widens `columns` columns, and of a format of pairs the one beside the last.
template <class F>
void widen(const std::byte* p, std::uint32_t columns, float_tile& tile) {
  float* out = tile.weights;
  for (std::uint32_t k = 0; k < columns; k += F::columns, out += F::columns * 16)
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i, p += F::vector_step) {
      const auto raw = load<typename F::raw>(p);
      store(out + i * width, F::template widen<0>(raw));
      if constexpr (F::columns == 2)
        store(out + 16 + i * width, F::template widen<1>(raw));
    }
}

/// T tokens against a widened tile; the sums go on from sums[T][16].
template <int T>
void multiply_tile(const float_tile& tile, std::uint32_t columns, const float* x, std::size_t x_stride, float* sums) {
  fvec acc[T][parts];
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t)
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i)
      acc[t][i] = load<fvec>(sums + t * 16 + i * width);
  for (std::uint32_t k = 0; k < columns; ++k) {
    fvec w[parts];
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i)
      w[i] = load<fvec>(tile.weights + k * 16 + i * width);
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
      const fvec xt = broadcast(x[t * x_stride + k]);
#pragma GCC unroll 4
      for (int i = 0; i < parts; ++i)
        acc[t][i] = madd(w[i], xt, acc[t][i]);
    }
  }
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t)
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i)
      store(sums + t * 16 + i * width, acc[t][i]);
}

template <int T = 1>
inline void multiply_tile_of(int tokens, const float_tile& tile, std::uint32_t columns, const float* x,
                             std::size_t x_stride, float* sums) {
  if (tokens == T)
    multiply_tile<T>(tile, columns, x, x_stride, sums);
  else if constexpr (T < block_tokens_max)
    multiply_tile_of<T + 1>(tokens, tile, columns, x, x_stride, sums);
}

template <class F>
struct float_products {
  static constexpr int gemv_groups = float_gemv_groups, few_tokens_max = float_tokens_max,
                       block_tokens = block_tokens_max;
  /// Groups whose sums wait while the activations of a tile's columns stay in L2.
  static constexpr std::uint32_t pass_groups = 4, tiles_together = 1;
  static constexpr std::uint32_t tile_columns = float_tile_columns;
  using tile = float_tile;
  struct session {};

  template <int G, int T, int V>
  static void rows(const matrix_product& a, std::uint32_t group, int part) {
    multiply_rows<F, G, T, V>(a, group, part);
  }
  static void widen_tile(const matrix_product& a, std::uint32_t group, std::uint32_t column, std::uint32_t columns,
                         tile& out) {
    widen<F>(a.weights.data + group * a.weights.group_bytes
               + std::size_t{column} / F::columns * (parts * F::vector_step),
             columns, out);
  }
  static void add_tokens(const matrix_product& a, const tile& weights, std::uint32_t column, std::uint32_t columns,
                         std::uint32_t token, int count, float* sums) {
    multiply_tile_of(count, weights, columns, a.x + token * a.x_stride + column, a.x_stride, sums);
  }
};
