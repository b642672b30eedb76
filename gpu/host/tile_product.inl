// SPDX-License-Identifier: Apache-2.0
// Products of quantised weights and many tokens by AMX. Part of kernels_amx.cpp.
//
// An activation is 256 h + l, with h signed and l unsigned 8-bit numbers, so that two products of 8-bit tiles give the
// sums that 16-bit pairs give: |256 Σ w h| ≤ 32 × 2^7 × 2^15 = 2^27, and Σ w l is smaller still. A tile's four
// neighbouring bytes are columns 2j, 2j + 16, 2j + 1, 2j + 17 of a block: the order does not matter, only that both
// sides have it.

constexpr int tile_tokens = 16;
constexpr std::uint32_t byte_pairs = 0x00ff00ff;

/// The compiler does not know that a tile is loaded from memory: all stores must be done before.
inline void settle(const void* p) { asm volatile("" : : "r"(p) : "memory"); }

/// Registers 0 and 1, 5 and 6: sums of a block, and of the next; 2 and 3: activations; 4 and 7: weights.
struct tile_config {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 32, 32, 64, 64, 64, 64};
  std::uint8_t rows[16] = {tile_tokens, tile_tokens, tile_tokens, tile_tokens, 8, tile_tokens, tile_tokens, 8};
};
static_assert(sizeof(tile_config) == 64);

/// While it lives the thread's tile registers are in use.
struct tile_session {
  tile_session() {
    alignas(64) const tile_config config;
    settle(&config);
    _tile_loadconfig(&config);
  }
  tile_session(const tile_session&) = delete;
  tile_session& operator=(const tile_session&) = delete;
  ~tile_session() { _tile_release(); }
};

/// The sums of a block of 16 tokens: of the high and of the low bytes of their activations.
struct block_sums {
  alignas(64) std::int32_t high[tile_tokens * 16];
  alignas(64) std::int32_t low[tile_tokens * 16];
};

/// One block of 16 tokens. Register numbers are literals in these macros, hence twice the same.
template <int Odd>
inline void multiply_block(const std::byte* x, std::size_t x_bytes, const std::uint32_t* weights, block_sums& out) {
  _tile_loadd(2, x, x_bytes);
  _tile_loadd(3, x + 32, x_bytes);
  if constexpr (Odd == 0) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_loadd(4, weights, 64);
    _tile_dpbssd(0, 2, 4);
    _tile_dpbusd(1, 3, 4);
    _tile_stored(0, out.high, 64);
    _tile_stored(1, out.low, 64);
  } else {
    _tile_zero(5);
    _tile_zero(6);
    _tile_loadd(7, weights, 64);
    _tile_dpbssd(5, 2, 7);
    _tile_dpbusd(6, 3, 7);
    _tile_stored(5, out.high, 64);
    _tile_stored(6, out.low, 64);
  }
}

template <class F>
struct tile_products : integer_products<F> {
  static constexpr int block_tokens = tile_tokens, scales = F::scales::count;
  static constexpr std::uint32_t pass_groups = 8, tiles_together = 4;
  using session = tile_session;

  struct tile {
    /// Per block and scale 8 × 16 words.
    alignas(64) std::uint32_t words[tile_blocks * scales * 8 * 16];
    quant_scales<scales, F::scales::has_minimum> of;
  };

  /// Of each block the 32 high bytes, then the low ones.
  static void arrange(std::int16_t* quants, std::uint32_t columns, std::uint32_t tokens) {
    if (tokens <= static_cast<std::uint32_t>(integer_products<F>::few_tokens_max))
      return;
    using half_uvec = std::uint32_t __attribute__((vector_size(32)));
    for (std::uint32_t k = 0; k < columns; k += quant_columns) {
      const auto first = load<half_uvec>(quants + k), second = load<half_uvec>(quants + k + 16);
      const half_uvec high = ((first >> 8) & byte_pairs) | (second & ~byte_pairs);
      const half_uvec low = (first & byte_pairs) | ((second & byte_pairs) << 8);
      __builtin_memcpy(quants + k, &high, sizeof high);
      __builtin_memcpy(quants + k + 16, &low, sizeof low);
    }
  }

  static void widen_tile(const matrix_product& a, std::uint32_t group, std::uint32_t column, std::uint32_t columns,
                         tile& out) {
    alignas(64) std::uint32_t widened[tile_blocks * block_pairs * 16];
    widen_quants<F>(a.weights.data + group * a.weights.group_bytes, column / quant_columns, columns / quant_columns,
                    widened, out.of);
    std::uint32_t* words = out.words;
    const std::uint32_t* pairs = widened;
    for (std::uint32_t b = 0; b < columns / quant_columns; ++b, words += scales * 8 * 16, pairs += block_pairs * 16)
      for (int j = 0; j < 8; ++j) {
        const uvec first = load<uvec>(pairs + j * 16) & byte_pairs;
        const uvec second = (load<uvec>(pairs + (j + 8) * 16) & byte_pairs) << 8;
        // Where each half of a block has a scale of its own, the other half's weights are 0.
        if constexpr (scales == 1) {
          store(words + j * 16, first | second);
        } else {
          store(words + j * 16, first);
          store(words + (8 + j) * 16, second);
        }
      }
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
      const std::byte* block = x + b / scales * (2 * quant_columns);
      const std::uint32_t* words = weights.words + b * 8 * 16;
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
