// SPDX-License-Identifier: Apache-2.0
// Products of quantised weights and activations of 16 bits. Part of kernels.inl.
//
// A block's sums are exact in 32 bits: 32 columns × 2^15 × 2^8 = 2^28. They are of unsigned quants; a type's offset
// comes in through Σ x, which the sums start from (32 × 2^15 × 2^7 more).

// Formats: bits of a quant in words and in the plane before them, offset, bytes of the scales before 256 columns (0:
// none) and before 32, scales of 32 columns; read_super() and read() make scales of them.

template <int Scales, bool Minimum>
struct block_scales {
  static constexpr int count = Scales;
  static constexpr bool has_minimum = Minimum;
  fvec scale[Scales];
  fvec minimum;
};

struct super_scales {
  fvec scale, minimum;
};

inline fvec read_halves(const std::byte* p) { return widen_half(load<hvec>(p)); }

template <int Low, int High, int Offset, bool Minimum>
struct format_of_halves {
  static constexpr int low_bits = Low, high_bits = High, offset = Offset, super_bytes = 0,
                       header_bytes = Minimum ? 64 : 32;
  using scales = block_scales<1, Minimum>;
  static super_scales read_super(const std::byte*, int) { return {fvec{}, fvec{}}; }
  static scales read(const std::byte* p, const super_scales&, int part) {
    p += part * vector_bytes / 2;
    if constexpr (Minimum)
      return {{read_halves(p)}, read_halves(p + 32)};
    else
      return {{read_halves(p)}, fvec{}};
  }
};

using format_q8_0 = format_of_halves<8, 0, 128, false>;
using format_q4_0 = format_of_halves<4, 0, 8, false>;
using format_q4_1 = format_of_halves<4, 0, 0, true>;
using format_q5_0 = format_of_halves<4, 1, 16, false>;
using format_q5_1 = format_of_halves<4, 1, 0, true>;

/// Products of an f16 and a byte are exact in f32.
template <int High>
struct format_of_bytes {
  static constexpr int low_bits = 4, high_bits = High, offset = 0, super_bytes = 64, header_bytes = 32;
  using scales = block_scales<1, true>;
  static super_scales read_super(const std::byte* p, int part) {
    p += part * vector_bytes / 2;
    return {read_halves(p), -read_halves(p + 32)};
  }
  static scales read(const std::byte* p, const super_scales& s, int part) {
    p += part * width;
    return {{s.scale * widen_unsigned_bytes(p)}, s.minimum * widen_unsigned_bytes(p + 16)};
  }
};

using format_q4_k = format_of_bytes<0>;
using format_q5_k = format_of_bytes<1>;

struct format_q6_k {
  static constexpr int low_bits = 4, high_bits = 2, offset = 32, super_bytes = 32, header_bytes = 32;
  using scales = block_scales<2, false>;
  static super_scales read_super(const std::byte* p, int part) {
    return {read_halves(p + part * vector_bytes / 2), fvec{}};
  }
  static scales read(const std::byte* p, const super_scales& s, int part) {
    p += part * width;
    return {{s.scale * widen_signed_bytes(p), s.scale * widen_signed_bytes(p + 16)}, fvec{}};
  }
};

constexpr int block_pairs = 16;           // pairs of columns in a block
constexpr std::uint32_t super_blocks = 8; // blocks that share super scales

template <class F>
constexpr int quant_block_bytes = F::header_bytes + (F::low_bits + F::high_bits) * 64;

/// Bytes before block `b` of a group; where b begins 256 columns, its super scales are still before it.
template <class F>
inline std::size_t block_offset(std::uint32_t b) {
  return std::size_t{b} * quant_block_bytes<F> + b / super_blocks * F::super_bytes;
}

using pvec = std::uint16_t __attribute__((vector_size(vector_bytes)));

/// Pairs of columns in a word.
template <class F>
constexpr int word_pairs = 16 / F::low_bits;

/// Pair J of a word: two 16-bit factors a lane. The word's high bits are in the lowest places of each half of `plane`.
template <class F, int J>
inline uvec pair_of(uvec word, uvec plane) {
  constexpr int shift = J * F::low_bits;
  constexpr std::uint32_t mask = ((1u << F::low_bits) - 1) * 0x10001u;
  uvec result;
  if constexpr (shift + F::low_bits == 16)
    result = reinterpret_cast<uvec>(reinterpret_cast<pvec>(word) >> shift);
  else
    result = (word >> shift) & mask;
  if constexpr (F::high_bits > 0) {
    constexpr int at = J * F::high_bits; // the bits go to F::low_bits
    constexpr std::uint32_t high_mask = (((1u << F::high_bits) - 1) << F::low_bits) * 0x10001u;
    if constexpr (at >= F::low_bits)
      result |= (plane >> (at - F::low_bits)) & high_mask;
    else
      result |= (plane << (F::low_bits - at)) & high_mask;
  }
  return result;
}

/// Words of 16 / F::high_bits pairs share a plane; the next of them has its bits further up.
template <class F>
inline uvec next_plane(uvec plane) {
  return plane >> (word_pairs<F> * F::high_bits);
}

/// Rows of up to 16 tokens, `stride` bytes apart: each is at one of four bases plus one of four offsets. Left to
/// itself g++ 12 keeps an address for each row and place, and spills most of them.
struct token_rows {
  const std::byte* base[4];
  std::size_t offset[4];

  token_rows(const void* first, std::size_t stride) {
    for (std::size_t i = 0; i < 4; ++i) {
      base[i] = static_cast<const std::byte*>(first) + 4 * i * stride;
      asm("" : "+r"(base[i])); // unknown to the optimiser
    }
    for (std::size_t i = 0; i < 4; ++i) {
      offset[i] = i * stride;
      asm("" : "+r"(offset[i]));
    }
    offset[0] = 0;
  }
  void advance(std::size_t bytes) {
    for (auto& b : base)
      b += bytes;
  }
  template <class T>
  T read(int token, std::size_t at) const {
    T value;
    __builtin_memcpy(&value, base[token / 4] + offset[token % 4] + at, sizeof value);
    return value;
  }
};

/// Pair `at` of a token's row.
inline uvec broadcast_pair(const token_rows& x, int token, int at) {
  return x.read<std::uint32_t>(token, at * sizeof(std::uint32_t)) + uvec{};
}
// Of rows of activation_blocks.
inline float scale_of(const token_rows& blocks, int token) {
  return blocks.read<float>(token, __builtin_offsetof(activation_block, scale));
}
inline float sum_of(const token_rows& blocks, int token) {
  return blocks.read<float>(token, __builtin_offsetof(activation_block, sum));
}
inline std::int32_t half_sum_of(const token_rows& blocks, int token, int half) {
  return blocks.read<std::int32_t>(token, __builtin_offsetof(activation_block, half_sums) + half * 4);
}

inline fvec to_float(ivec v) { return __builtin_convertvector(v, fvec); }

/// Sums of a token that are added to in turns: with one token, one sum would make each addition wait for the last.
template <int T>
constexpr int chains = T == 1 ? 2 : 1;

/// Adds pairs J … of a word for T tokens; x is at the word's first column.
template <class F, int T, int V, int J = 0>
inline void add_word(const uvec (&words)[V], const uvec (&planes)[V], const token_rows& x,
                     ivec (&sums)[chains<T>][T][V]) {
  if constexpr (J < word_pairs<F>) {
    uvec xs[T];
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t)
      xs[t] = broadcast_pair(x, t, J);
#pragma GCC unroll 4
    for (int i = 0; i < V; ++i) {
      const uvec w = pair_of<F, J>(words[i], planes[i]);
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t)
        sums[J % chains<T>][t][i] = add_pairs(w, xs[t], sums[J % chains<T>][t][i]);
    }
    add_word<F, T, V, J + 1>(words, planes, x, sums);
  }
}

/// Bytes that are fetched, into L2, ahead of those that are multiplied: further than processors look by themselves, and
/// beside the few requests that L1 may have open.
constexpr int weights_ahead = 2048, weights_locality = 2;

/// Adds the words of scale S of a block; `quants` is at the block's high bits, if it has any.
template <class F, int T, int V>
inline void add_scaled(const std::byte* quants, int s, token_rows& x, ivec (&sums)[chains<T>][T][V]) {
  constexpr int words = F::low_bits / F::scales::count;
  uvec planes[V] = {};
  if constexpr (F::high_bits > 0)
#pragma GCC unroll 4
    for (int i = 0; i < V; ++i)
      planes[i] = load<uvec>(quants + s * 64 + i * vector_bytes);
  const std::byte* p = quants + (F::high_bits + s * words) * 64;
  // A loop that is not unrolled keeps the sums in registers: of straight code, g++ 12 computes products far ahead of
  // their sums, and spills them.
#pragma GCC unroll 1
  for (int word = 0; word < words; ++word, p += 64, x.advance(4 * word_pairs<F>)) {
    uvec loaded[V];
    __builtin_prefetch(p + weights_ahead, 0, weights_locality);
#pragma GCC unroll 4
    for (int i = 0; i < V; ++i)
      loaded[i] = load<uvec>(p + i * vector_bytes);
    add_word<F, T, V>(loaded, planes, x, sums);
    if constexpr (F::high_bits > 0)
#pragma GCC unroll 4
      for (int i = 0; i < V; ++i)
        planes[i] = next_plane<F>(planes[i]);
  }
}

template <int T, int V>
inline ivec whole_sum(const ivec (&sums)[chains<T>][T][V], int t, int i) {
  ivec sum = sums[0][t][i];
  for (int k = 1; k < chains<T>; ++k)
    sum += sums[k][t][i];
  return sum;
}

/// Scale S … of a block, and the columns that it is of; x moves behind them.
template <class F, int T, int V, int S = 0>
inline void multiply_scaled(const std::byte* quants, token_rows& x, const token_rows& xs,
                            const typename F::scales (&scales)[V], fvec (&acc)[T][V]) {
  constexpr int count = F::scales::count;
  if constexpr (S < count) {
    ivec sums[chains<T>][T][V];
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
      const std::int32_t sum = count == 1 ? half_sum_of(xs, t, 0) + half_sum_of(xs, t, 1) : half_sum_of(xs, t, S);
      const ivec start = -F::offset * sum + ivec{};
#pragma GCC unroll 4
      for (int i = 0; i < V; ++i)
        for (int k = 0; k < chains<T>; ++k)
          sums[k][t][i] = F::offset == 0 || k > 0 ? ivec{} : start;
    }
    add_scaled<F, T, V>(quants, S, x, sums);
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
      const fvec x_scale = broadcast(scale_of(xs, t));
#pragma GCC unroll 4
      for (int i = 0; i < V; ++i)
        acc[t][i] = madd(to_float(whole_sum<T>(sums, t, i)), scales[i].scale[S] * x_scale, acc[t][i]);
    }
    multiply_scaled<F, T, V, S + 1>(quants, x, xs, scales, acc);
  }
}

/// T tokens against V vectors of a group, from `part` on; weights are widened in registers. One group at a time, at
/// batch 1 as well: several streams of weights halve the rate at which processors fetch ahead.
template <class F, int T, int V>
void multiply_quants(const matrix_product& a, std::uint32_t group, int part) {
  const std::byte* p = a.weights.data + group * a.weights.group_bytes;
  token_rows x{a.quantised.quants, a.quantised.stride * sizeof(std::int16_t)};
  token_rows xs{a.quantised.blocks, a.quantised.stride / quant_columns * sizeof(activation_block)};
  fvec acc[T][V] = {};
  super_scales super[V] = {};
  const std::uint32_t blocks = a.weights.columns / quant_columns;
  for (std::uint32_t b = 0; b < blocks; ++b, xs.advance(sizeof(activation_block))) {
    if (F::super_bytes != 0 && b % super_blocks == 0) {
#pragma GCC unroll 4
      for (int i = 0; i < V; ++i)
        super[i] = F::read_super(p, part + i);
      p += F::super_bytes;
    }
    typename F::scales scales[V];
#pragma GCC unroll 4
    for (int i = 0; i < V; ++i)
      scales[i] = F::read(p, super[i], part + i);
    multiply_scaled<F, T, V>(p + F::header_bytes + part * vector_bytes, x, xs, scales, acc);
    if constexpr (F::scales::has_minimum) {
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t)
#pragma GCC unroll 4
        for (int i = 0; i < V; ++i)
          acc[t][i] = madd(scales[i].minimum, broadcast(sum_of(xs, t)), acc[t][i]);
    }
    p += quant_block_bytes<F>;
  }
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t)
#pragma GCC unroll 4
    for (int i = 0; i < V; ++i)
      finish(a, t, group, part + i, acc[t][i]);
}

/// 256 columns of a group, widened: signed pairs and f32 scales, 9 to 10 KiB.
constexpr std::uint32_t quant_tile_columns = 256;
constexpr std::uint32_t tile_blocks = quant_tile_columns / quant_columns;

template <int Scales, bool Minimum>
struct quant_scales {
  alignas(64) float scales[tile_blocks * Scales * 16];
  alignas(64) float minima[Minimum ? tile_blocks * 16 : 16];
};

template <int Scales, bool Minimum>
struct quant_tile {
  alignas(64) std::uint32_t pairs[tile_blocks * block_pairs * 16];
  quant_scales<Scales, Minimum> of;
};

inline void store(std::uint32_t* p, uvec v) { __builtin_memcpy(p, &v, sizeof v); }

template <class F, int J = 0>
inline void widen_word(uvec word, uvec plane, std::uint32_t* pairs) {
  if constexpr (J < word_pairs<F>) {
    const auto factors = reinterpret_cast<pvec>(pair_of<F, J>(word, plane)) - static_cast<std::uint16_t>(F::offset);
    store(pairs + J * 16, reinterpret_cast<uvec>(factors));
    widen_word<F, J + 1>(word, plane, pairs);
  }
}

/// The quants of a block of one vector of rows, signed.
template <class F>
inline void widen_block(const std::byte* quants, std::uint32_t* pairs) {
  uvec plane = {};
  for (int word = 0; word < F::low_bits; ++word, pairs += word_pairs<F> * 16) {
    if constexpr (F::high_bits > 0) {
      constexpr int sharing = F::low_bits / F::high_bits; // words of one plane
      plane = word % sharing == 0 ? load<uvec>(quants + word / sharing * 64) : next_plane<F>(plane);
    }
    widen_word<F>(load<uvec>(quants + (F::high_bits + word) * 64), plane, pairs);
  }
}

/// Widens `blocks` blocks of a group from block `first`, which begins 256 columns, on.
template <class F>
void widen_quants(const std::byte* group, std::uint32_t first, std::uint32_t blocks, std::uint32_t* pairs,
                  quant_scales<F::scales::count, F::scales::has_minimum>& out) {
  constexpr int count = F::scales::count;
  const std::byte* super = group + block_offset<F>(first);
#pragma GCC unroll 4
  for (int i = 0; i < parts; ++i) {
    const auto super_scale = F::read_super(super, i);
    for (std::uint32_t b = 0; b < blocks; ++b) {
      const std::byte* p = super + F::super_bytes + std::size_t{b} * quant_block_bytes<F>;
      const auto scales = F::read(p, super_scale, i);
#pragma GCC unroll 2
      for (int s = 0; s < count; ++s)
        store(out.scales + (b * count + s) * 16 + i * width, scales.scale[s]);
      if constexpr (F::scales::has_minimum)
        store(out.minima + b * 16 + i * width, scales.minimum);
      widen_block<F>(p + F::header_bytes + i * vector_bytes, pairs + b * block_pairs * 16 + i * width);
    }
  }
}

/// T tokens against a widened tile; the sums go on from sums[T][16].
template <int T, int Scales, bool Minimum>
void multiply_quant_tile(const quant_tile<Scales, Minimum>& tile, std::uint32_t blocks, const std::int16_t* x,
                         std::size_t stride, const activation_block* xs, float* sums) {
  token_rows rows{x, stride * sizeof(std::int16_t)};
  token_rows block_rows{xs, stride / quant_columns * sizeof(activation_block)};
  constexpr int pairs = block_pairs / Scales;
  fvec acc[T][parts];
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t)
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i)
      acc[t][i] = load<fvec>(sums + t * 16 + i * width);
  const std::uint32_t* weights = tile.pairs;
  for (std::uint32_t b = 0; b < blocks * Scales; ++b, weights += pairs * 16) {
    ivec products[T][parts] = {};
    for (int p = 0; p < pairs; ++p, rows.advance(sizeof(std::uint32_t))) {
      uvec w[parts];
#pragma GCC unroll 4
      for (int i = 0; i < parts; ++i)
        w[i] = load<uvec>(weights + p * 16 + i * width);
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t) {
        const uvec xt = broadcast_pair(rows, t, 0);
#pragma GCC unroll 4
        for (int i = 0; i < parts; ++i)
          products[t][i] = add_pairs(w[i], xt, products[t][i]);
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i) {
      const fvec scale = load<fvec>(tile.of.scales + b * 16 + i * width);
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t) {
        acc[t][i] = madd(to_float(products[t][i]), scale * broadcast(scale_of(block_rows, t)), acc[t][i]);
        if constexpr (Minimum)
          acc[t][i] =
            madd(load<fvec>(tile.of.minima + b * 16 + i * width), broadcast(sum_of(block_rows, t)), acc[t][i]);
      }
    }
    if ((b + 1) % Scales == 0)
      block_rows.advance(sizeof(activation_block));
  }
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t)
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i)
      store(sums + t * 16 + i * width, acc[t][i]);
}

template <int T = 1, int Scales, bool Minimum>
inline void multiply_quant_tile_of(int tokens, const quant_tile<Scales, Minimum>& tile, std::uint32_t blocks,
                                   const std::int16_t* x, std::size_t stride, const activation_block* xs, float* sums) {
  if (tokens == T)
    multiply_quant_tile<T>(tile, blocks, x, stride, xs, sums);
  else if constexpr (T < block_tokens_max)
    multiply_quant_tile_of<T + 1>(tokens, tile, blocks, x, stride, xs, sums);
}

template <class F>
struct integer_products {
  static constexpr int gemv_groups = 1, few_tokens_max = integer_tokens_max, block_tokens = block_tokens_max;
  /// Groups whose sums wait while the activations of a tile's columns stay in L2.
  static constexpr std::uint32_t pass_groups = 4, tiles_together = 1;
  static constexpr std::uint32_t tile_columns = quant_tile_columns;
  using tile = quant_tile<F::scales::count, F::scales::has_minimum>;
  struct session {};

  template <int G, int T, int V>
  static void rows(const matrix_product& a, std::uint32_t group, int part) {
    static_assert(G == 1);
    multiply_quants<F, T, V>(a, group, part);
  }
  static void widen_tile(const matrix_product& a, std::uint32_t group, std::uint32_t column, std::uint32_t columns,
                         tile& out) {
    widen_quants<F>(a.weights.data + group * a.weights.group_bytes, column / quant_columns, columns / quant_columns,
                    out.pairs, out.of);
  }
  /// Brings a row's quants into the order that a product of so many tokens reads them in.
  static void arrange(std::int16_t*, std::uint32_t, std::uint32_t) {}
  static void add_tokens(const matrix_product& a, const tile& weights, std::uint32_t column, std::uint32_t columns,
                         std::uint32_t token, int count, float* sums) {
    const auto stride = a.quantised.stride;
    multiply_quant_tile_of(count, weights, columns / quant_columns, a.quantised.quants + token * stride + column,
                           stride, a.quantised.blocks + (token * stride + column) / quant_columns, sums);
  }
};
