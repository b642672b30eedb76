// SPDX-License-Identifier: Apache-2.0
// Products of bf16 weights by AMX. Part of kernels_amx.cpp.
//
// Its multipliers take bf16 on both sides and add in f32. An activation is the sum of three bf16, so that three
// products are as exact as one of f32, and still cost less. Tiles serve any number of tokens, one as well: so each
// token's sums have one order.

/// Groups whose sums are in registers while activations pass: registers 0 to 3, of tokens times 16 rows. 4 to 6:
/// the parts of the activations, 7: weights.
constexpr std::uint32_t bfloat_groups = 4;
/// Columns whose activations stay in L2 while groups pass.
constexpr std::uint32_t bfloat_pass_columns = 512;

constexpr tile_config bfloat_config(std::uint8_t tokens) {
  return {.row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
          .rows = {tokens, tokens, tokens, tokens, tokens, tokens, tokens, 16}};
}

struct bfloat_pass {
  const std::byte* weights; // of the first group, at the first column
  std::size_t group_bytes;
  const std::uint16_t* x; // of the first token, at the first column
  std::size_t stride;     // of a part, in columns
  std::uint32_t columns;  // a multiple of 32
  float* sums;            // of the first group [tokens][16]
  std::size_t group_sums; // floats from one group's sums to the next's
  bool is_first;          // columns: the sums begin at zero
  bool fetches_ahead;     // few tokens wait for weights
};

// Register numbers are literals, hence the macro.
#define TROUPE_ADD_GROUP(sum)                                                                                          \
  if constexpr (G > sum) {                                                                                             \
    const std::byte* w = weights + sum * p.group_bytes;                                                                \
    if (p.fetches_ahead)                                                                                               \
      for (int row = 0; row < 16; ++row)                                                                               \
        __builtin_prefetch(w + weights_ahead + row * 64);                                                              \
    _tile_loadd(7, w, 64);                                                                                             \
    _tile_dpbf16ps(sum, 4, 7);                                                                                         \
    _tile_dpbf16ps(sum, 5, 7);                                                                                         \
    _tile_dpbf16ps(sum, 6, 7);                                                                                         \
  }
#define TROUPE_BEGIN_GROUP(sum)                                                                                        \
  if constexpr (G > sum) {                                                                                             \
    if (p.is_first)                                                                                                    \
      _tile_zero(sum);                                                                                                 \
    else                                                                                                               \
      _tile_loadd(sum, p.sums + sum * p.group_sums, 64);                                                               \
  }
#define TROUPE_END_GROUP(sum)                                                                                          \
  if constexpr (G > sum)                                                                                               \
  _tile_stored(sum, p.sums + sum * p.group_sums, 64)

/// The pass of G groups and as many tokens as the tile configuration says.
template <std::uint32_t G>
void multiply_bfloat_tiles(const bfloat_pass& p) {
  const std::size_t row_bytes = 3 * p.stride * sizeof(std::uint16_t);
  TROUPE_BEGIN_GROUP(0)
  TROUPE_BEGIN_GROUP(1)
  TROUPE_BEGIN_GROUP(2)
  TROUPE_BEGIN_GROUP(3)
  for (std::uint32_t k = 0; k < p.columns; k += bfloat_columns) {
    const std::uint16_t* x = p.x + k;
    const std::byte* weights = p.weights + std::size_t{k} * 32;
    _tile_loadd(4, x, row_bytes);
    _tile_loadd(5, x + p.stride, row_bytes);
    _tile_loadd(6, x + 2 * p.stride, row_bytes);
    TROUPE_ADD_GROUP(0)
    TROUPE_ADD_GROUP(1)
    TROUPE_ADD_GROUP(2)
    TROUPE_ADD_GROUP(3)
  }
  TROUPE_END_GROUP(0);
  TROUPE_END_GROUP(1);
  TROUPE_END_GROUP(2);
  TROUPE_END_GROUP(3);
}

#undef TROUPE_ADD_GROUP
#undef TROUPE_BEGIN_GROUP
#undef TROUPE_END_GROUP

void multiply_bfloats(const matrix_product& a) {
  __atomic_fetch_add(&multiply_calls[path_index], 1, __ATOMIC_RELAXED);
  constexpr void (*pass_of[])(const bfloat_pass&) = {&multiply_bfloat_tiles<1>, &multiply_bfloat_tiles<2>,
                                                     &multiply_bfloat_tiles<3>, &multiply_bfloat_tiles<4>};
  // Blocks of nearly equal size; the smaller ones compute a row more than they have, which nobody reads.
  const std::uint32_t blocks = (a.tokens + tile_tokens - 1) / tile_tokens;
  const std::uint32_t rows = (a.tokens + blocks - 1) / blocks;
  const std::uint32_t columns = (a.weights.columns + bfloat_columns - 1) / bfloat_columns * bfloat_columns;
  constexpr std::uint32_t group_sums = (product_tokens_max + product_tokens_max / tile_tokens) * 16;
  alignas(64) float sums[bfloat_groups * group_sums];
  const tile_session session{bfloat_config(static_cast<std::uint8_t>(rows))};
  for (std::uint32_t group = a.group_begin; group < a.group_end; group += bfloat_groups) {
    const std::uint32_t left = a.group_end - group, groups = left < bfloat_groups ? left : bfloat_groups;
    for (std::uint32_t k = 0; k < columns; k += bfloat_pass_columns)
      for (std::uint32_t b = 0; b < blocks; ++b)
        pass_of[groups - 1]({.weights = a.weights.data + group * a.weights.group_bytes + std::size_t{k} * 32,
                             .group_bytes = a.weights.group_bytes,
                             .x = a.bfloats.parts + b * a.tokens / blocks * (3 * a.bfloats.stride) + k,
                             .stride = a.bfloats.stride,
                             .columns = columns - k < bfloat_pass_columns ? columns - k : bfloat_pass_columns,
                             .sums = sums + b * rows * 16,
                             .group_sums = group_sums,
                             .is_first = k == 0,
                             .fetches_ahead = blocks == 1});
    for (std::uint32_t g = 0; g < groups; ++g)
      for (std::uint32_t b = 0; b < blocks; ++b)
        for (std::uint32_t t = b * a.tokens / blocks; t < (b + 1) * a.tokens / blocks; ++t)
          finish(a, t, group + g, 0, load<fvec>(sums + g * group_sums + (b * rows + t - b * a.tokens / blocks) * 16));
  }
}

/// The nearest bf16, and what it misses, which is exact.
inline hvec take_bfloat(fvec& x) {
  const auto rounded = reinterpret_cast<hvec>(_mm512_cvtneps_pbh(x));
  x -= as_float(__builtin_convertvector(rounded, uvec) << 16);
  return rounded;
}

void split_bfloats(const float* x, std::uint32_t columns, const bfloat_parts& out) {
  const auto split = [&](std::uint32_t c, fvec rest) {
#pragma GCC unroll 3
    for (std::size_t part = 0; part < 3; ++part) {
      const hvec bfloats = take_bfloat(rest);
      __builtin_memcpy(out.parts + part * out.stride + c, &bfloats, sizeof bfloats);
    }
  };
  for_each_sixteen(columns, [&](std::uint32_t c, std::uint32_t n) { split(c, load_sixteen(x + c, n).v[0]); });
  if (const auto padded = (columns + 15) / 16 * 16; padded % bfloat_columns != 0)
    split(padded, fvec{});
}
