// SPDX-License-Identifier: Apache-2.0
// Products of quantised weights and activations of 16 bits. Part of kernels.inl.
//
// A block's sums are exact in 32 bits: 32 columns × 2^15 × 2^8 = 2^28. They are of unsigned quants; a type's offset
// comes in through Σ x, which the sums start from (32 × 2^15 × 2^7 more).
//
// An activation is a 16-bit factor of pairs of columns, or, where the processor multiplies bytes four at a time
// (splits_activations), 256 h + l with signed bytes h and l, factors of quads of columns: weights are bytes anyway, so
// half as many instructions unpack them.

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
constexpr int block_quads = 8;            // quads of columns in a block
constexpr std::uint32_t super_blocks = 8; // blocks that share super scales

template <class F>
constexpr int quant_block_bytes = F::header_bytes + (F::low_bits + F::high_bits) * 64;

/// Bytes before block `b` of a group; where b begins 256 columns, its super scales are still before it.
template <class F>
inline std::size_t block_offset(std::uint32_t b) {
  return std::size_t{b} * quant_block_bytes<F> + b / super_blocks * F::super_bytes;
}

using pvec = std::uint16_t __attribute__((vector_size(vector_bytes)));

/// Quads, and pairs, of columns in a word.
template <class F>
constexpr int word_quads = 8 / F::low_bits;
template <class F>
constexpr int word_pairs = 2 * word_quads<F>;

/// The bits of `plane` from `At` on, as many as the format has high ones and as `Repeat` repeats, above the low bits.
template <class F, int At, std::uint32_t Repeat>
inline uvec high_bits_of(uvec plane) {
  constexpr std::uint32_t mask = (((1u << F::high_bits) - 1) << F::low_bits) * Repeat;
  if constexpr (At >= F::low_bits)
    return (plane >> (At - F::low_bits)) & mask;
  else
    return (plane << (F::low_bits - At)) & mask;
}

/// Pair J of a word: two 16-bit factors a lane. The word's high bits are in the lowest places of each byte of `plane`.
template <class F, int J>
inline uvec pair_of(uvec word, uvec plane) {
  constexpr int quad = J / 2, byte = J % 2;
  constexpr int shift = byte * 8 + quad * F::low_bits;
  constexpr std::uint32_t mask = ((1u << F::low_bits) - 1) * 0x10001u;
  uvec result;
  if constexpr (shift + F::low_bits == 16)
    result = reinterpret_cast<uvec>(reinterpret_cast<pvec>(word) >> shift);
  else
    result = (word >> shift) & mask;
  if constexpr (F::high_bits > 0)
    result |= high_bits_of<F, byte * 8 + quad * F::high_bits, 0x10001u>(plane);
  return result;
}

/// Quad Q of a word: four unsigned 8-bit factors a lane.
template <class F, int Q>
inline uvec quad_of(uvec word, uvec plane) {
  constexpr std::uint32_t mask = ((1u << F::low_bits) - 1) * 0x01010101u;
  uvec result = (word >> (Q * F::low_bits)) & mask;
  if constexpr (F::high_bits > 0)
    result |= high_bits_of<F, Q * F::high_bits, 0x01010101u>(plane);
  return result;
}

/// Words of 8 / F::high_bits quads share a plane; the next of them has its bits further up.
template <class F>
inline uvec next_plane(uvec plane) {
  return plane >> (word_quads<F> * F::high_bits);
}

/// Brings each block of a row of activations into the order of quads: the high bytes of all, then the low ones.
inline void split_activations(std::int16_t* quants, std::uint32_t columns) {
  using block = std::uint16_t __attribute__((vector_size(64)));
  using words = std::uint32_t __attribute__((vector_size(64)));
  using quads = std::uint32_t __attribute__((vector_size(32)));
  constexpr std::uint32_t even_bytes = 0x00ff00ff;
  for (std::uint32_t k = 0; k < columns; k += quant_columns) {
    const auto low = load<words>(quants + k);
    // A low byte of 128 or more is a negative one, and one more of the high byte.
    const auto high = reinterpret_cast<words>((reinterpret_cast<block>(low) + 0x80) >> 8);
    const auto first = [](words w) { return __builtin_shufflevector(w, w, 0, 2, 4, 6, 8, 10, 12, 14); };
    const auto second = [](words w) { return __builtin_shufflevector(w, w, 1, 3, 5, 7, 9, 11, 13, 15); };
    const quads high_quads = first(high) | second(high) << 8;
    const quads low_quads = (first(low) & even_bytes) | (second(low) & even_bytes) << 8;
    __builtin_memcpy(quants + k, &high_quads, sizeof high_quads);
    __builtin_memcpy(quants + k + 16, &low_quads, sizeof low_quads);
  }
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

/// Pair or quad `at` of a token's row.
inline uvec broadcast_word(const token_rows& x, int token, int at) {
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

/// Sums of a token and vector: of high and of low bytes; or two that are added to in turns, since with one token one
/// sum would make each addition wait for the last.
template <int T>
constexpr int chains = splits_activations || T == 1 ? 2 : 1;

/// Adds pairs or quads J … of a word for T tokens; x is at the word's first one.
template <class F, int T, int V, int J = 0>
inline void add_word(const uvec (&words)[V], const uvec (&planes)[V], const token_rows& x,
                     ivec (&sums)[chains<T>][T][V]) {
  if constexpr (splits_activations) {
    if constexpr (J < word_quads<F>) {
      uvec high[T], low[T];
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t) {
        high[t] = broadcast_word(x, t, J);
        low[t] = broadcast_word(x, t, block_quads + J);
      }
#pragma GCC unroll 4
      for (int i = 0; i < V; ++i) {
        const uvec w = quad_of<F, J>(words[i], planes[i]);
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t) {
          sums[0][t][i] = add_quads(w, high[t], sums[0][t][i]);
          sums[1][t][i] = add_quads(w, low[t], sums[1][t][i]);
        }
      }
      add_word<F, T, V, J + 1>(words, planes, x, sums);
    }
  } else if constexpr (J < word_pairs<F>) {
    uvec xs[T];
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t)
      xs[t] = broadcast_word(x, t, J);
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

/// Bytes that are fetched ahead of those that are multiplied. On Xeons a page ahead reads a third faster than half a
/// page, and fetching into L1 faster than into L2.
constexpr int weights_ahead = 4096;

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
  constexpr std::size_t word_bytes = sizeof(std::uint32_t) * (splits_activations ? word_quads<F> : word_pairs<F>);
  // A loop that is not unrolled keeps the sums in registers: of straight code, g++ 12 computes products far ahead of
  // their sums, and spills them.
#pragma GCC unroll 1
  for (int word = 0; word < words; ++word, p += 64, x.advance(word_bytes)) {
    uvec loaded[V];
    __builtin_prefetch(p + weights_ahead);
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
  if constexpr (splits_activations)
    sum <<= 8;
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
        for (int k = 0; k < chains<T>; ++k) // the last one is of low bytes, if any is
          sums[k][t][i] = F::offset == 0 || k < chains<T> - 1 ? ivec{} : start;
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
    if constexpr (splits_activations)
      x.advance(block_quads * sizeof(std::uint32_t)); // the low bytes
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

/// A block's words of one vector of rows, ascending, and the word's high bits in the lowest places of a plane's bytes.
template <class F, class Function>
inline void for_each_word(const std::byte* quants, Function f) {
  uvec plane = {};
#pragma GCC unroll 8
  for (int word = 0; word < F::low_bits; ++word) {
    if constexpr (F::high_bits > 0) {
      constexpr int sharing = F::low_bits / F::high_bits; // words of one plane
      plane = word % sharing == 0 ? load<uvec>(quants + word / sharing * 64) : next_plane<F>(plane);
    }
    f(load<uvec>(quants + (F::high_bits + word) * 64), plane);
  }
}

/// Calls f(block, part, its quants) for each of `blocks` blocks of a group from block `first`, which begins 256
/// columns, on, and keeps their scales.
template <class F, class Function>
void read_blocks(const std::byte* group, std::uint32_t first, std::uint32_t blocks,
                 quant_scales<F::scales::count, F::scales::has_minimum>& out, Function f) {
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
      f(b, i, p + F::header_bytes + i * vector_bytes);
    }
  }
}

template <class F, int J = 0>
inline void widen_pairs(uvec word, uvec plane, std::uint32_t* pairs) {
  if constexpr (J < word_pairs<F>) {
    const auto factors = reinterpret_cast<pvec>(pair_of<F, J>(word, plane)) - static_cast<std::uint16_t>(F::offset);
    store(pairs + J * 16, reinterpret_cast<uvec>(factors));
    widen_pairs<F, J + 1>(word, plane, pairs);
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
        const uvec xt = broadcast_word(rows, t, 0);
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
    read_blocks<F>(a.weights.data + group * a.weights.group_bytes, column / quant_columns, columns / quant_columns,
                   out.of, [&](std::uint32_t block, int part, const std::byte* quants) {
                     std::uint32_t* pairs = out.pairs + block * block_pairs * 16 + part * width;
                     for_each_word<F>(quants, [&](uvec word, uvec plane) {
                       widen_pairs<F>(word, plane, pairs);
                       pairs += word_pairs<F> * 16;
                     });
                   });
  }
  /// Brings a row's quants into the order that a product of so many tokens reads them in.
  static void arrange([[maybe_unused]] std::int16_t* quants, [[maybe_unused]] std::uint32_t columns,
                      [[maybe_unused]] std::uint32_t tokens) {
    if constexpr (splits_activations)
      if (tokens <= static_cast<std::uint32_t>(few_tokens_max))
        split_activations(quants, columns);
  }
  static void add_tokens(const matrix_product& a, const tile& weights, std::uint32_t column, std::uint32_t columns,
                         std::uint32_t token, int count, float* sums) {
    const auto stride = a.quantised.stride;
    multiply_quant_tile_of(count, weights, columns / quant_columns, a.quantised.quants + token * stride + column,
                           stride, a.quantised.blocks + (token * stride + column) / quant_columns, sums);
  }
};
