// SPDX-License-Identifier: Apache-2.0
// Attention over paged keys and values. Part of kernels.inl.
//
// Rows are the query heads of the tokens of a call, [tokens][heads]. A row's operations are the same in every call; what
// rows share are the keys and values that they read.

/// Calls f(first position, positions, offset of the first) for each piece of a block that lies in [begin, end); entries
/// of other blocks are not read.
template <class Function>
inline void for_each_block(const attention& a, std::uint32_t begin, std::uint32_t end, Function f) {
  std::uint32_t block = begin / a.block_tokens;
  std::uint32_t in_block = begin % a.block_tokens;
  for (; begin < end; ++block, in_block = 0) {
    const std::uint32_t rest = end - begin;
    const std::uint32_t room = a.block_tokens - in_block;
    const std::uint32_t count = rest < room ? rest : room;
    f(begin, count, a.table[block] * a.block_stride + in_block * a.token_stride);
    begin += count;
  }
}

inline std::uint32_t first_position(const attention& a, std::uint32_t token) {
  const std::uint32_t positions = a.positions + token;
  const std::uint32_t begin = positions > a.window ? positions - a.window : 0;
  return begin > a.begin ? begin : a.begin;
}

/// scores[row][j] = scale × query[row] · key[j] for R rows and `count` ≤ width positions from `begin` on. The last key
/// stands in for those that are missing.
template <int R>
inline void score_keys(const attention& a, std::uint32_t row, std::uint32_t begin, std::uint32_t count,
                       const float* keys) {
  fvec products[R][width][parts];
  const float* query = a.query + row * a.width;
#pragma GCC unroll 1
  for (int j = 0; j < width; j += keys_at_once) {
    const float* key[keys_at_once];
#pragma GCC unroll 4
    for (int n = 0; n < keys_at_once; ++n) {
      const auto at = static_cast<std::uint32_t>(j + n);
      key[n] = keys + (at < count ? at : count - 1) * a.token_stride;
    }
    fvec acc[R][keys_at_once][parts] = {};
    for (std::uint32_t c = 0; c < a.width; c += 16)
#pragma GCC unroll 4
      for (int i = 0; i < parts; ++i) {
        fvec k[keys_at_once];
#pragma GCC unroll 4
        for (int n = 0; n < keys_at_once; ++n)
          k[n] = load<fvec>(key[n] + c + i * width);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
          const fvec q = load<fvec>(query + r * a.width + c + i * width);
#pragma GCC unroll 4
          for (int n = 0; n < keys_at_once; ++n)
            acc[r][n][i] = madd(q, k[n], acc[r][n][i]);
        }
      }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int n = 0; n < keys_at_once; ++n)
#pragma GCC unroll 4
        for (int i = 0; i < parts; ++i)
          products[r][j + n][i] = acc[r][n][i];
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
    const fvec sums = a.scale * reduce_lanes(products[r]);
    __builtin_memcpy(a.scores + (row + r) * a.score_stride + begin, &sums,
                     count == width ? sizeof sums : count * sizeof(float));
  }
}

/// Scores of all rows and positions; those beyond a row's own are not used.
inline void score(const attention& a) {
  const std::uint32_t rows = a.tokens * a.heads;
  for_each_block(a, first_position(a, 0), a.positions + a.tokens - 1,
                 [&](std::uint32_t begin, std::uint32_t count, std::uint64_t offset) {
                   for (std::uint32_t j = 0; j < count; j += width) {
                     const std::uint32_t n = count - j < width ? count - j : width;
                     const float* keys = a.keys + offset + j * a.token_stride;
                     std::uint32_t row = 0;
                     for (; row + rows_at_once <= rows; row += rows_at_once)
                       score_keys<rows_at_once>(a, row, begin + j, n, keys);
                     for (; row < rows; ++row)
                       score_keys<1>(a, row, begin + j, n, keys);
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

/// Adds positions begin … end - 1 to out[token][h][c …] for C × 16 elements of H heads.
template <int H, int C>
inline void mix(const attention& a, std::uint32_t token, std::uint32_t column, std::uint32_t begin, std::uint32_t end,
                const float* inverse) {
  const std::uint32_t first_row = token * H;
  float* out = a.out + first_row * a.width + column;
  fvec acc[H][C * parts] = {};
  if (begin != first_position(a, token))
#pragma GCC unroll 4
    for (int h = 0; h < H; ++h)
#pragma GCC unroll 8
      for (int i = 0; i < C * parts; ++i)
        acc[h][i] = load<fvec>(out + h * a.width + i * width);
  for_each_block(a, begin, end, [&](std::uint32_t first, std::uint32_t count, std::uint64_t offset) {
    const float* value = a.values + offset + column;
    const float* weight = a.scores + first_row * a.score_stride + first;
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
  const bool last = end == a.positions + token;
#pragma GCC unroll 4
  for (int h = 0; h < H; ++h)
#pragma GCC unroll 8
    for (int i = 0; i < C * parts; ++i)
      store(out + h * a.width + i * width, last ? acc[h][i] * inverse[first_row + h] : acc[h][i]);
}

/// Values of so many floats stay in L1 while all rows use them.
constexpr std::uint32_t chunk_floats = 4096;

template <int H>
void attend_heads(const attention& a) {
  score(a);
  float inverse[attention_rows_max];
  for (std::uint32_t row = 0; row < a.tokens * H; ++row)
    inverse[row] =
      1.0f / soften(a.scores + row * a.score_stride, first_position(a, row / H), a.positions + row / H);
  // Two columns of 16 at once where they fit the registers.
  constexpr int columns = H * 2 * parts <= 12 ? 2 : 1;
  const std::uint32_t end = a.positions + a.tokens - 1;
  const std::uint32_t step = a.tokens == 1 ? end : chunk_floats / a.width + 1;
  for (std::uint32_t begin = first_position(a, 0); begin < end; begin += step)
    for (std::uint32_t token = 0; token < a.tokens; ++token) {
      const std::uint32_t own = first_position(a, token), own_end = a.positions + token;
      const std::uint32_t from = begin < own ? own : begin;
      const std::uint32_t to = end - begin < step || begin + step > own_end ? own_end : begin + step;
      if (from >= to)
        continue;
      std::uint32_t c = 0;
      for (; c + columns * 16 <= a.width; c += columns * 16)
        mix<H, columns>(a, token, c, from, to, inverse);
      for (; c < a.width; c += 16)
        mix<H, 1>(a, token, c, from, to, inverse);
    }
}

void attend(const attention& a) {
  switch (a.heads) {
    case 1: return attend_heads<1>(a);
    case 2: return attend_heads<2>(a);
    case 3: return attend_heads<3>(a);
    default: return attend_heads<4>(a);
  }
}
