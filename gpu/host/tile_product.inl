// SPDX-License-Identifier: Apache-2.0
// Products of quantised weights and many tokens by AMX. Part of kernels_amx.cpp.
//
// An activation is 256 h + l, with h signed and l unsigned 8-bit numbers, so that two products of 8-bit tiles give the
// sums that 16-bit pairs give: |256 Σ w h| ≤ 32 × 2^7 × 2^15 = 2^27, and Σ w l is smaller still. A tile's four neighbouring
// bytes are columns 2j, 2j + 16, 2j + 1, 2j + 17 of a block: the order does not matter, only that both sides have it.

constexpr int tile_tokens = 16;
constexpr std::uint32_t byte_pairs = 0x00ff00ff;

/// The compiler does not know that a tile is loaded from memory: all stores must be done before.
inline void settle(const void* p) { asm volatile("" : : "r"(p) : "memory"); }

/// Registers 0 and 1: sums; 2 and 3: activations of a block; 4: its weights.
struct tile_config {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 32, 32, 64};
  std::uint8_t rows[16] = {tile_tokens, tile_tokens, tile_tokens, tile_tokens, 8};
};
static_assert(sizeof(tile_config) == 64);

/// The two bytes of the activations of a tile's columns, [tokens][columns]; rows beyond the tokens are read, and their
/// sums ignored. While it lives the thread's tile registers are in use.
struct activation_bytes {
  static constexpr std::uint32_t rows = product_tokens_max + tile_tokens;
  alignas(64) std::uint8_t high[rows * quant_tile_columns];
  alignas(64) std::uint8_t low[rows * quant_tile_columns];

  activation_bytes() {
    __builtin_memset(high, 0, sizeof high);
    __builtin_memset(low, 0, sizeof low);
    alignas(64) const tile_config config;
    settle(&config);
    _tile_loadconfig(&config);
  }
  activation_bytes(const activation_bytes&) = delete;
  activation_bytes& operator=(const activation_bytes&) = delete;
  ~activation_bytes() { _tile_release(); }
};

template <class F>
struct tile_products : integer_products<F> {
  static constexpr int block_tokens = tile_tokens, scales = F::scales::count;
  static constexpr std::uint32_t pass_groups = 8;
  using activations = activation_bytes;

  struct tile {
    /// Per block and scale 8 × 16 words.
    alignas(64) std::uint32_t words[tile_blocks * scales * 8 * 16];
    quant_tile<scales, F::scales::has_minimum> widened;
  };

  static void prepare(const matrix_product& a, std::uint32_t column, std::uint32_t columns, activations& out) {
    using half_uvec = std::uint32_t __attribute__((vector_size(32)));
    for (std::uint32_t t = 0; t < a.tokens; ++t) {
      const std::int16_t* x = a.quantised.quants + t * a.quantised.stride + column;
      std::uint8_t* high = out.high + t * quant_tile_columns;
      std::uint8_t* low = out.low + t * quant_tile_columns;
      for (std::uint32_t k = 0; k < columns; k += quant_columns) {
        const auto first = load<half_uvec>(x + k), second = load<half_uvec>(x + k + 16);
        const half_uvec highs = ((first >> 8) & byte_pairs) | (second & ~byte_pairs);
        const half_uvec lows = (first & byte_pairs) | ((second & byte_pairs) << 8);
        __builtin_memcpy(high + k, &highs, sizeof highs);
        __builtin_memcpy(low + k, &lows, sizeof lows);
      }
    }
    settle(&out);
  }

  static void widen_tile(const matrix_product& a, std::uint32_t group, std::uint32_t column, std::uint32_t columns,
                         tile& out) {
    integer_products<F>::widen_tile(a, group, column, columns, out.widened);
    std::uint32_t* words = out.words;
    for (std::uint32_t b = 0; b < columns / quant_columns; ++b, words += scales * 8 * 16) {
      const std::uint32_t* pairs = out.widened.pairs + b * block_pairs * 16;
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
    settle(&out);
  }

  static void add_tokens(const matrix_product& a, const activations& x, const tile& weights, std::uint32_t column,
                         std::uint32_t columns, std::uint32_t token, int count, float* sums) {
    const std::size_t block_stride = a.quantised.stride / quant_columns;
    const activation_block* xs = a.quantised.blocks + token * block_stride + column / quant_columns;
    alignas(64) std::int32_t high[tile_tokens * 16], low[tile_tokens * 16];
    for (std::uint32_t b = 0; b < columns / quant_columns * scales; ++b) {
      const std::uint32_t block = b / scales;
      const std::size_t at = std::size_t{token} * quant_tile_columns + block * quant_columns;
      _tile_zero(0);
      _tile_zero(1);
      _tile_loadd(2, x.high + at, quant_tile_columns);
      _tile_loadd(3, x.low + at, quant_tile_columns);
      _tile_loadd(4, weights.words + b * 8 * 16, 64);
      _tile_dpbssd(0, 2, 4);
      _tile_dpbusd(1, 3, 4);
      _tile_stored(0, high, 64);
      _tile_stored(1, low, 64);
      settle(high);
      settle(low);
      const fvec scale = load<fvec>(weights.widened.scales + b * 16);
      for (int t = 0; t < count; ++t) {
        const activation_block& xt = xs[t * block_stride + block];
        const ivec products = (load<ivec>(high + t * 16) << 8) + load<ivec>(low + t * 16);
        fvec acc = madd(to_float(products), scale * broadcast(xt.scale), load<fvec>(sums + t * 16));
        if constexpr (F::scales::has_minimum)
          acc = madd(load<fvec>(weights.widened.minima + block * 16), broadcast(xt.sum), acc);
        store(sums + t * 16, acc);
      }
    }
  }
};
