// SPDX-License-Identifier: Apache-2.0
// The one source of the host kernels, included by kernels_<path>.cpp inside an anonymous namespace.
// The including file gives: vector_bytes, path_index, direct_tokens_max, part_tokens_max, block_tokens_max, gemv_groups;
// fvec, uvec, hvec;
// madd, maximum, widen_half, reduce_add. No function of the standard library here: see kernels.hpp.

using ivec = std::int32_t __attribute__((vector_size(vector_bytes)));

constexpr int width = vector_bytes / 4;  // lanes of one vector
constexpr int parts = 16 / width;        // vectors of 16 lanes

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
  fvec r = madd(n, broadcast(-0x1.62e4p-1f), x);     // ln 2, high bits: n × it is exact
  r = madd(n, broadcast(-0x1.7f7d1cp-20f), r);       // ln 2, the rest
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

// --- weight formats --------------------------------------------------------------------------------
// Each: columns of a block, bytes of a block's header and of 16 × one word, columns in a word;
// scales() reads the header, words() one word of each lane, value() column j of the words.

struct no_scales {};

struct format_f32 {
  static constexpr int block_columns = 1, header_bytes = 0, word_columns = 1, word_bytes = 64;
  using scales = no_scales;
  static scales read(const std::byte*, int) { return {}; }
  static uvec words(const std::byte* p, int part) { return load<uvec>(p + part * vector_bytes); }
  template <int J> static fvec value(uvec w, scales) { return as_float(w); }
};

struct format_f16 {
  static constexpr int block_columns = 1, header_bytes = 0, word_columns = 1, word_bytes = 32;
  using scales = no_scales;
  static scales read(const std::byte*, int) { return {}; }
  static uvec words(const std::byte* p, int part) {
    return reinterpret_cast<uvec>(widen_half(load<hvec>(p + part * vector_bytes / 2)));
  }
  template <int J> static fvec value(uvec w, scales) { return as_float(w); }
};

struct format_bf16 {
  static constexpr int block_columns = 1, header_bytes = 0, word_columns = 1, word_bytes = 32;
  using scales = no_scales;
  static scales read(const std::byte*, int) { return {}; }
  static uvec words(const std::byte* p, int part) {
    return __builtin_convertvector(load<hvec>(p + part * vector_bytes / 2), uvec) << 16;
  }
  template <int J> static fvec value(uvec w, scales) { return as_float(w); }
};

struct format_q8_0 {
  static constexpr int block_columns = 32, header_bytes = 32, word_columns = 4, word_bytes = 64;
  struct scales { fvec d; };
  static scales read(const std::byte* p, int part) { return {widen_half(load<hvec>(p + part * vector_bytes / 2))}; }
  static uvec words(const std::byte* p, int part) { return load<uvec>(p + part * vector_bytes); }
  template <int J> static fvec value(uvec w, scales s) {
    const ivec q = reinterpret_cast<ivec>(w << (24 - 8 * J)) >> 24;
    return __builtin_convertvector(q, fvec) * s.d;
  }
};

struct format_q4_0 {
  static constexpr int block_columns = 32, header_bytes = 32, word_columns = 8, word_bytes = 64;
  struct scales { fvec d; };
  static scales read(const std::byte* p, int part) { return {widen_half(load<hvec>(p + part * vector_bytes / 2))}; }
  static uvec words(const std::byte* p, int part) { return load<uvec>(p + part * vector_bytes); }
  template <int J> static fvec value(uvec w, scales s) {
    const ivec q = reinterpret_cast<ivec>((w >> (4 * J)) & 15u) - 8;
    return __builtin_convertvector(q, fvec) * s.d;
  }
};

struct format_q4_1 {
  static constexpr int block_columns = 32, header_bytes = 64, word_columns = 8, word_bytes = 64;
  struct scales { fvec d, m; };
  static scales read(const std::byte* p, int part) {
    return {widen_half(load<hvec>(p + part * vector_bytes / 2)),
            widen_half(load<hvec>(p + 32 + part * vector_bytes / 2))};
  }
  static uvec words(const std::byte* p, int part) { return load<uvec>(p + part * vector_bytes); }
  template <int J> static fvec value(uvec w, scales s) {
    const ivec q = reinterpret_cast<ivec>((w >> (4 * J)) & 15u);
    return madd(__builtin_convertvector(q, fvec), s.d, s.m);
  }
};

template <class F>
constexpr int block_bytes = F::header_bytes + F::block_columns / F::word_columns * F::word_bytes;

// --- matrix product --------------------------------------------------------------------------------

inline void finish(const matrix_product& a, std::uint32_t token, std::uint32_t group, const fvec* sums) {
  float* out = a.out + token * a.out_stride + group * 16;
#pragma GCC unroll 4
  for (int i = 0; i < parts; ++i)
    store(out + i * width, a.end == epilogue::add ? load<fvec>(out + i * width) + sums[i] : sums[i]);
}

/// Columns J … of one word of G groups, for T tokens.
template <class F, int G, int T, int J = 0>
inline void multiply_word(const uvec (&w)[G][parts], const typename F::scales (&s)[G][parts], const float* x,
                          std::size_t x_stride, fvec (&acc)[T][G][parts]) {
  if constexpr (J < F::word_columns) {
    fvec xs[T];
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t)
      xs[t] = broadcast(x[t * x_stride + J]);
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
      for (int i = 0; i < parts; ++i) {
        const fvec value = F::template value<J>(w[g][i], s[g][i]);
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t)
          acc[t][g][i] = madd(value, xs[t], acc[t][g][i]);
      }
    multiply_word<F, G, T, J + 1>(w, s, x, x_stride, acc);
  }
}

/// T tokens against G neighbouring groups; weights are widened in registers.
template <class F, int G, int T>
void multiply_direct(const matrix_product& a, std::uint32_t group, std::uint32_t token) {
  const std::byte* p = a.weights.data + group * a.weights.group_bytes;
  const float* x = a.x + token * a.x_stride;
  fvec acc[T][G][parts] = {};
  for (std::uint32_t k = 0; k < a.weights.columns; k += F::block_columns) {
    typename F::scales s[G][parts];
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
      for (int i = 0; i < parts; ++i)
        s[g][i] = F::read(p + g * a.weights.group_bytes, i);
    p += F::header_bytes;
    for (int c = 0; c < F::block_columns; c += F::word_columns) {
      uvec w[G][parts];
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
        for (int i = 0; i < parts; ++i)
          w[g][i] = F::words(p + g * a.weights.group_bytes, i);
      multiply_word<F, G, T>(w, s, x, a.x_stride, acc);
      p += F::word_bytes;
      x += F::word_columns;
    }
  }
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t)
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g)
      finish(a, token + t, group + g, acc[t][g]);
}

/// Columns J … of one word of one vector of a group, for T tokens.
template <class F, int T, int J = 0>
inline void multiply_part_word(uvec w, typename F::scales s, const float* x, std::size_t x_stride, fvec (&acc)[T]) {
  if constexpr (J < F::word_columns) {
    const fvec value = F::template value<J>(w, s);
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t)
      acc[t] = madd(value, broadcast(x[t * x_stride + J]), acc[t]);
    multiply_part_word<F, T, J + 1>(w, s, x, x_stride, acc);
  }
}

/// T tokens against one group, one of its vectors after the other: a weight is widened once for more tokens than
/// there are registers for with all of its vectors at once.
template <class F, int T>
void multiply_parts(const matrix_product& a, std::uint32_t group) {
  for (int i = 0; i < parts; ++i) {
    const std::byte* p = a.weights.data + group * a.weights.group_bytes;
    const float* x = a.x;
    fvec acc[T] = {};
    for (std::uint32_t k = 0; k < a.weights.columns; k += F::block_columns) {
      const auto s = F::read(p, i);
      p += F::header_bytes;
      for (int c = 0; c < F::block_columns; c += F::word_columns) {
        multiply_part_word<F, T>(F::words(p, i), s, x, a.x_stride, acc);
        p += F::word_bytes;
        x += F::word_columns;
      }
    }
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
      float* out = a.out + t * a.out_stride + group * 16 + i * width;
      store(out, a.end == epilogue::add ? load<fvec>(out) + acc[t] : acc[t]);
    }
  }
}

/// Columns of a widened tile: 12 KiB of weights, which stay in L1 beside the activations.
constexpr std::uint32_t tile_columns = 192;

template <class F, int J = 0>
inline void widen_word(uvec w, typename F::scales s, float* tile) {
  if constexpr (J < F::word_columns) {
    store(tile + J * 16, F::template value<J>(w, s));
    widen_word<F, J + 1>(w, s, tile);
  }
}

/// Widens `columns` columns of one group from p on to tile[columns][16].
template <class F>
void widen_tile(const std::byte* p, std::uint32_t columns, float* tile) {
  for (std::uint32_t k = 0; k < columns; k += F::block_columns) {
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i) {
      const auto s = F::read(p, i);
      const std::byte* q = p + F::header_bytes;
      for (int c = 0; c < F::block_columns; c += F::word_columns, q += F::word_bytes)
        widen_word<F>(F::words(q, i), s, tile + (k + c) * 16 + i * width);
    }
    p += block_bytes<F>;
  }
}

/// T tokens against a widened tile; the sums go on from sums[T][16].
template <int T>
void multiply_tile(const float* tile, std::uint32_t columns, const float* x, std::size_t x_stride, float* sums) {
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
      w[i] = load<fvec>(tile + k * 16 + i * width);
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
inline void multiply_tile_of(int tokens, const float* tile, std::uint32_t columns, const float* x,
                             std::size_t x_stride, float* sums) {
  if (tokens == T)
    multiply_tile<T>(tile, columns, x, x_stride, sums);
  else if constexpr (T < block_tokens_max)
    multiply_tile_of<T + 1>(tokens, tile, columns, x, x_stride, sums);
}

/// Many tokens against one group: weights are widened once per tile and used for all tokens.
template <class F>
void multiply_tiled(const matrix_product& a, std::uint32_t group) {
  alignas(64) float tile[tile_columns * 16];
  alignas(64) float sums[product_tokens_max * 16];
  __builtin_memset(sums, 0, a.tokens * 16 * sizeof(float));
  // Token blocks of nearly equal size, so that none is too small to keep the multipliers busy.
  const std::uint32_t blocks = (a.tokens + block_tokens_max - 1) / block_tokens_max;
  const std::byte* p = a.weights.data + group * a.weights.group_bytes;
  for (std::uint32_t k = 0; k < a.weights.columns; k += tile_columns) {
    const std::uint32_t rest = a.weights.columns - k;
    const std::uint32_t columns = rest < tile_columns ? rest : tile_columns;
    widen_tile<F>(p, columns, tile);
    p += columns / F::block_columns * block_bytes<F>;
    for (std::uint32_t b = 0, token = 0; b < blocks; ++b) {
      const std::uint32_t next = (b + 1) * a.tokens / blocks;
      multiply_tile_of(static_cast<int>(next - token), tile, columns, a.x + token * a.x_stride + k, a.x_stride,
                       sums + token * 16);
      token = next;
    }
  }
  for (std::uint32_t t = 0; t < a.tokens; ++t) {
    fvec acc[parts];
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i)
      acc[i] = load<fvec>(sums + t * 16 + i * width);
    finish(a, t, group, acc);
  }
}

template <class F, int T = 1>
inline void multiply_few(const matrix_product& a, std::uint32_t group) {
  if (a.tokens != T) {
    if constexpr (T < part_tokens_max)
      multiply_few<F, T + 1>(a, group);
  } else if constexpr (T <= direct_tokens_max) {
    multiply_direct<F, 1, T>(a, group, 0);
  } else {
    multiply_parts<F, T>(a, group);
  }
}

template <class F>
void multiply_format(const matrix_product& a) {
  std::uint32_t group = a.group_begin;
  if (a.tokens == 1)
    for (; group + gemv_groups <= a.group_end; group += gemv_groups)
      multiply_direct<F, gemv_groups, 1>(a, group, 0);
  for (; group < a.group_end; ++group)
    if (a.tokens <= static_cast<std::uint32_t>(part_tokens_max))
      multiply_few<F>(a, group);
    else
      multiply_tiled<F>(a, group);
}

void multiply(const matrix_product& a) {
  __atomic_fetch_add(&multiply_calls[path_index], 1, __ATOMIC_RELAXED);
  switch (a.weights.type) {
    case packed_type::f32: return multiply_format<format_f32>(a);
    case packed_type::f16: return multiply_format<format_f16>(a);
    case packed_type::bf16: return multiply_format<format_bf16>(a);
    case packed_type::q8_0: return multiply_format<format_q8_0>(a);
    case packed_type::q4_0: return multiply_format<format_q4_0>(a);
    case packed_type::q4_1: return multiply_format<format_q4_1>(a);
  }
}

// --- attention -------------------------------------------------------------------------------------

/// Calls f(first position, positions, offset of the first) for each block of the table that holds positions attended
/// to; entries of other blocks are not read.
template <class Function>
inline void for_each_block(const attention& a, Function f) {
  std::uint32_t block = a.begin / a.block_tokens;
  std::uint32_t in_block = a.begin % a.block_tokens;
  for (std::uint32_t begin = a.begin; begin < a.positions; ++block, in_block = 0) {
    const std::uint32_t rest = a.positions - begin;
    const std::uint32_t room = a.block_tokens - in_block;
    const std::uint32_t count = rest < room ? rest : room;
    f(begin, count, a.table[block] * a.block_stride + in_block * a.token_stride);
    begin += count;
  }
}

/// scores[h][j] = scale × query[h] · key[j]
template <int H>
inline void score(const attention& a) {
  for_each_block(a, [&](std::uint32_t begin, std::uint32_t count, std::uint64_t offset) {
    const float* key = a.keys + offset;
    for (std::uint32_t j = 0; j < count; ++j, key += a.token_stride) {
      fvec acc[H][parts] = {};
      for (std::uint32_t c = 0; c < a.width; c += 16)
#pragma GCC unroll 4
        for (int i = 0; i < parts; ++i) {
          const fvec k = load<fvec>(key + c + i * width);
#pragma GCC unroll 4
          for (int h = 0; h < H; ++h)
            acc[h][i] = madd(load<fvec>(a.query + h * a.width + c + i * width), k, acc[h][i]);
        }
#pragma GCC unroll 4
      for (int h = 0; h < H; ++h)
        a.scores[h * a.score_stride + begin + j] = a.scale * reduce_add(acc[h]);
    }
  });
}

/// Scores begin … positions - 1 become exponentials of their distance to the maximum; returns their sum.
inline float soften(float* scores, std::uint32_t begin, std::uint32_t positions) {
  const std::uint32_t first = begin / 16 * 16; // lanes are by absolute position
  const std::uint32_t padded = (positions + 15) / 16 * 16;
  for (std::uint32_t j = first; j < begin; ++j)
    scores[j] = -__builtin_inff(); // its exponential is 0, which changes no sum
  for (std::uint32_t j = positions; j < padded; ++j)
    scores[j] = -__builtin_inff();
  fvec most = broadcast(-__builtin_inff());
  for (std::uint32_t j = first; j < padded; j += width)
    most = maximum(most, load<fvec>(scores + j));
  float maximum_score = most[0];
#pragma GCC unroll 16
  for (int i = 1; i < width; ++i)
    maximum_score = most[i] > maximum_score ? most[i] : maximum_score;
  fvec sums[parts] = {};
  for (std::uint32_t j = first; j < padded; j += 16)
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i) {
      const fvec e = exponential(load<fvec>(scores + j + i * width) - maximum_score);
      store(scores + j + i * width, e);
      sums[i] += e;
    }
  return reduce_add(sums);
}

/// out[h][c …] for C × 16 elements of H heads.
template <int H, int C>
inline void mix(const attention& a, std::uint32_t column, const float (&inverse)[H]) {
  fvec acc[H][C * parts] = {};
  for_each_block(a, [&](std::uint32_t begin, std::uint32_t count, std::uint64_t offset) {
    const float* value = a.values + offset + column;
    const float* weight = a.scores + begin;
    for (std::uint32_t j = 0; j < count; ++j, value += a.token_stride, ++weight) {
      fvec w[H];
#pragma GCC unroll 4
      for (int h = 0; h < H; ++h)
        w[h] = broadcast(weight[h * a.score_stride]);
#pragma GCC unroll 8
      for (int i = 0; i < C * parts; ++i) {
        const fvec v = load<fvec>(value + i * width);
#pragma GCC unroll 4
        for (int h = 0; h < H; ++h)
          acc[h][i] = madd(w[h], v, acc[h][i]);
      }
    }
  });
#pragma GCC unroll 4
  for (int h = 0; h < H; ++h)
#pragma GCC unroll 8
    for (int i = 0; i < C * parts; ++i)
      store(a.out + h * a.width + column + i * width, acc[h][i] * inverse[h]);
}

template <int H>
void attend_heads(const attention& a) {
  score<H>(a);
  float inverse[H];
  for (int h = 0; h < H; ++h)
    inverse[h] = 1.0f / soften(a.scores + h * a.score_stride, a.begin, a.positions);
  // Two columns of 16 at once where they fit the registers.
  constexpr int columns = H * 2 * parts <= 12 ? 2 : 1;
  std::uint32_t c = 0;
  for (; c + columns * 16 <= a.width; c += columns * 16)
    mix<H, columns>(a, c, inverse);
  for (; c < a.width; c += 16)
    mix<H, 1>(a, c, inverse);
}

void attend(const attention& a) {
  switch (a.heads) {
    case 1: return attend_heads<1>(a);
    case 2: return attend_heads<2>(a);
    case 3: return attend_heads<3>(a);
    default: return attend_heads<4>(a);
  }
}

// --- elementwise -----------------------------------------------------------------------------------

/// Calls f(c, n) for c = 0, 16, … with n elements left of it, 16 but for the last.
template <class Function>
inline void for_each_sixteen(std::uint32_t elements, Function f) {
  std::uint32_t c = 0;
  for (; c + 16 <= elements; c += 16)
    f(c, 16u);
  if (c < elements)
    f(c, elements - c);
}

struct sixteen {
  fvec v[parts];
};

/// The first n of 16 elements, then zeros.
inline sixteen load_sixteen(const float* p, std::uint32_t n) {
  sixteen result{};
  if (n == 16)
    __builtin_memcpy(&result, p, sizeof result);
  else
    __builtin_memcpy(&result, p, n * sizeof(float));
  return result;
}

inline void store_sixteen(float* p, const sixteen& v, std::uint32_t n) {
  if (n == 16)
    __builtin_memcpy(p, &v, sizeof v);
  else
    __builtin_memcpy(p, &v, n * sizeof(float));
}

void rms_norm(const float* x, const float* weight, float* out, std::uint32_t columns, std::uint32_t padded,
              float epsilon) {
  fvec sums[parts] = {};
  for_each_sixteen(padded, [&](std::uint32_t c, std::uint32_t n) {
    const sixteen xs = load_sixteen(x + c, n);
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i)
      sums[i] = madd(xs.v[i], xs.v[i], sums[i]);
  });
  const float mean = reduce_add(sums) / static_cast<float>(columns);
  const float scale = 1.0f / __builtin_sqrtf(mean + epsilon);
  for_each_sixteen(padded, [&](std::uint32_t c, std::uint32_t n) {
    sixteen xs = load_sixteen(x + c, n);
    const sixteen weights = load_sixteen(weight + c, n);
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i)
      xs.v[i] = xs.v[i] * scale * weights.v[i];
    store_sixteen(out + c, xs, n);
  });
}

void swiglu(float* gate, const float* up, std::uint32_t padded) {
  for (std::uint32_t c = 0; c < padded; c += width) {
    const fvec g = load<fvec>(gate + c);
    store(gate + c, g / (1.0f + exponential(-g)) * load<fvec>(up + c));
  }
}

using dvec = double __attribute__((vector_size(2 * vector_bytes))); // as many lanes as fvec

/// x / 2 × (1 + tanh u) with u = √(2/π) × (x + 0.044715 x³) is x / (1 + e^-2u). Far left the result is as small as the
/// exponential is large, so that an error of 2u, which grows with it, would be one of the result: 2u is a double, and
/// what its float misses corrects the exponential. The quotient is one of doubles, so that little more than the
/// exponential's own error remains.
void geglu(float* gate, const float* up, std::uint32_t padded) {
  constexpr double linear = -1.5957691216057308, cubic = -0.07135481627260025; // -2 √(2/π), that times 0.044715
  for (std::uint32_t c = 0; c < padded; c += width) {
    const dvec g = __builtin_convertvector(load<fvec>(gate + c), dvec);
    const dvec exact = g * (linear + cubic * (g * g));
    const fvec rounded = __builtin_convertvector(exact, fvec);
    // Beyond ±100 the exponential is its bound, and infinities have no difference.
    const auto inside = reinterpret_cast<uvec>((rounded > -100.0f) & (rounded < 100.0f));
    const fvec difference = __builtin_convertvector(exact - __builtin_convertvector(rounded, dvec), fvec);
    const fvec missed = as_float(reinterpret_cast<uvec>(difference) & inside);
    const dvec e = __builtin_convertvector(exponential(rounded), dvec) * (1.0 + __builtin_convertvector(missed, dvec));
    const dvec result = g / (1.0 + e) * __builtin_convertvector(load<fvec>(up + c), dvec);
    store(gate + c, __builtin_convertvector(result, fvec));
  }
}

constexpr kernel_table kernels{&multiply, &attend, &rms_norm, &swiglu, &geglu};
