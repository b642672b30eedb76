// SPDX-License-Identifier: Apache-2.0
// Products of quantised weights and many tokens by AMX. Part of kernels_amx.cpp.
//
// Activations are split into bytes, 256 h + l, whatever their number, so that two products of 8-bit tiles give the
// sums that 16-bit pairs give. A tile's four neighbouring bytes are a quad.

constexpr int tile_tokens = 16;

/// The compiler does not know that a tile is loaded from memory: all stores must be done before.
inline void settle(const void* p) { asm volatile("" : : "r"(p) : "memory"); }

struct tile_config {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};
static_assert(sizeof(tile_config) == 64);

/// While it lives the thread's tile registers are in use.
class tile_session {
public:
  explicit tile_session(const tile_config& config) {
    settle(&config);
    _tile_loadconfig(&config);
  }
  tile_session(const tile_session&) = delete;
  tile_session& operator=(const tile_session&) = delete;
  ~tile_session() { _tile_release(); }
};

/// Registers 0 and 1, 5 and 6: sums of columns that share a scale, and of the next; 2 and 3: activations; 4 and 7:
/// weights.
template <int Quads>
struct quad_session : tile_session {
  static constexpr tile_config config{
    .row_bytes = {64, 64, 4 * Quads, 4 * Quads, 64, 64, 64, 64},
    .rows = {tile_tokens, tile_tokens, tile_tokens, tile_tokens, Quads, tile_tokens, tile_tokens, Quads}};
  quad_session() : tile_session(config) {}
};

/// The sums of a block of 16 tokens: of the high and of the low bytes of their activations.
struct block_sums {
  alignas(64) std::int32_t high[tile_tokens * 16];
  alignas(64) std::int32_t low[tile_tokens * 16];
};

/// A block of 16 tokens, or the columns of it that share a scale. Register numbers are literals in these macros, hence
/// twice the same.
template <int Odd>
inline void multiply_block(const std::byte* x, std::size_t x_bytes, const std::uint32_t* weights, block_sums& out) {
  _tile_loadd(2, x, x_bytes);
  _tile_loadd(3, x + quant_columns, x_bytes);
  if constexpr (Odd == 0) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_loadd(4, weights, 64);
    _tile_dpbssd(0, 2, 4);
    _tile_dpbssd(1, 3, 4);
    _tile_stored(0, out.high, 64);
    _tile_stored(1, out.low, 64);
  } else {
    _tile_zero(5);
    _tile_zero(6);
    _tile_loadd(7, weights, 64);
    _tile_dpbssd(5, 2, 7);
    _tile_dpbssd(6, 3, 7);
    _tile_stored(5, out.high, 64);
    _tile_stored(6, out.low, 64);
  }
}

template <class F, int Q = 0>
inline void widen_quads(uvec word, uvec plane, std::uint32_t* quads) {
  using bytes = std::uint8_t __attribute__((vector_size(vector_bytes)));
  if constexpr (Q < word_quads<F>) {
    const auto factors = reinterpret_cast<bytes>(quad_of<F, Q>(word, plane)) - static_cast<std::uint8_t>(F::offset);
    store(quads + Q * 16, reinterpret_cast<uvec>(factors));
    widen_quads<F, Q + 1>(word, plane, quads);
  }
}

template <class F>
struct tile_products : integer_products<F> {
  static constexpr int block_tokens = tile_tokens, scales = F::scales::count;
  /// Quads that share a scale: the depth of a product.
  static constexpr int depth = block_quads / scales;
  static constexpr std::uint32_t pass_groups = 8, tiles_together = 4;
  using session = quad_session<depth>;

  struct tile {
    alignas(64) std::uint32_t quads[tile_blocks * block_quads * 16];
    quant_scales<scales, F::scales::has_minimum> of;
  };

  static void arrange(std::int16_t* quants, std::uint32_t columns, std::uint32_t) {
    split_activations(quants, columns);
  }

  static void widen_tile(const matrix_product& a, std::uint32_t group, std::uint32_t column, std::uint32_t columns,
                         tile& out) {
    std::uint32_t* quads = out.quads;
    read_blocks<F>(a.weights.data + group * a.weights.group_bytes, column / quant_columns, columns / quant_columns,
                   out.of, [&](std::uint32_t, int, const std::byte* quants) {
                     for_each_word<F>(quants, [&](uvec word, uvec plane) {
                       widen_quads<F>(word, plane, quads);
                       quads += word_quads<F> * 16;
                     });
                   });
  }

  static void add_tokens(const matrix_product& a, const tile& weights, std::uint32_t column, std::uint32_t columns,
                         std::uint32_t token, int count, float* sums) {
    const std::size_t stride = a.quantised.stride;
    const auto* x = reinterpret_cast<const std::byte*>(a.quantised.quants + token * stride + column);
    const std::size_t x_bytes = stride * sizeof(std::int16_t);
    token_rows xs{a.quantised.blocks + (token * stride + column) / quant_columns,
                  stride / quant_columns * sizeof(activation_block)};
    // Rows beyond the count are multiplied as well, and not kept.
    fvec acc[tile_tokens];
#pragma GCC unroll 16
    for (int t = 0; t < tile_tokens; ++t)
      acc[t] = t < count ? load<fvec>(sums + t * 16) : fvec{};
    block_sums products[2];
    const auto multiply_next = [&](std::uint32_t b) {
      const std::byte* block = x + b / scales * (2 * quant_columns) + b % scales * (4 * depth);
      const std::uint32_t* words = weights.quads + b * depth * 16;
      if (b % 2 == 0)
        multiply_block<0>(block, x_bytes, words, products[0]);
      else
        multiply_block<1>(block, x_bytes, words, products[1]);
    };
    settle(&weights);
    multiply_next(0);
    const std::uint32_t blocks = columns / quant_columns * scales;
    for (std::uint32_t b = 0; b < blocks; ++b) {
      if (b + 1 < blocks)
        multiply_next(b + 1); // its tiles are busy while this block's sums are scaled
      const block_sums& done = products[b % 2];
      const fvec scale = load<fvec>(weights.of.scales + b * 16);
#pragma GCC unroll 16
      for (int t = 0; t < tile_tokens; ++t) {
        // Both sums are exact in f32, so this rounds once, as the conversion of the whole sum would.
        const fvec sum =
          madd(to_float(load<ivec>(done.high + t * 16)), broadcast(256.0f), to_float(load<ivec>(done.low + t * 16)));
        acc[t] = madd(sum, scale * broadcast(scale_of(xs, t)), acc[t]);
        if constexpr (F::scales::has_minimum)
          acc[t] = madd(load<fvec>(weights.of.minima + b * 16), broadcast(sum_of(xs, t)), acc[t]);
      }
      if ((b + 1) % scales == 0)
        xs.advance(sizeof(activation_block));
    }
#pragma GCC unroll 16
    for (int t = 0; t < tile_tokens; ++t)
      if (t < count)
        store(sums + t * 16, acc[t]);
  }
};
