// SPDX-License-Identifier: Apache-2.0
// Attention over paged keys and values. Part of kernels.inl.
//
// Rows are the query heads of the tokens of a call, [tokens][heads]. A row's operations are the same in every call;
// what rows share are the keys and values that they read.

constexpr std::uint32_t key_lanes = 16; // positions of a piece

inline std::uint32_t at_most(std::uint32_t a, std::uint32_t b) { return a < b ? a : b; }

inline std::uint32_t first_position(const attention& a, std::uint32_t token) {
  const std::uint32_t positions = a.positions + token;
  return positions > a.window ? positions - a.window : 0;
}

/// Up to 16 neighbouring positions of a block; column c of their keys is at keys + c × key_stride.
struct key_piece {
  const float* keys;
  std::uint32_t begin;
  std::uint32_t count;
};

/// Gives the pieces that hold positions at … end - 1. Entries of other blocks are not read.
struct key_reader {
  const attention& a;
  std::uint32_t at;
  std::uint32_t end;

  /// Sets up to `most` pieces, and returns their number.
  int read(key_piece* pieces, int most) {
    int n = 0;
    for (; n < most && at < end; ++n) {
      const std::uint32_t in_block = at % a.block_tokens;
      const std::uint32_t first = in_block / key_lanes * key_lanes;
      const std::uint32_t begin = at - (in_block - first);
      const std::uint32_t count = at_most(end - begin, at_most(a.block_tokens - first, key_lanes));
      pieces[n] = {a.keys + a.table[at / a.block_tokens] * a.block_stride + first, begin, count};
      at = begin + count;
    }
    return n;
  }
};

/// Where the score of a row and position is: [position / 16][row][position % 16].
inline float* score_of(const attention& a, std::uint32_t row, std::uint32_t position) {
  return a.scores + position / 16 * attention_rows_max * 16 + row * 16 + position % 16;
}

inline void store_scores(const attention& a, std::uint32_t row, const key_piece& piece, const fvec (&scores)[parts]) {
  if (piece.begin % 16 == 0 && piece.count == key_lanes) {
    __builtin_memcpy(score_of(a, row, piece.begin), scores, sizeof scores);
    return;
  }
  for (std::uint32_t j = 0; j < piece.count; ++j)
    *score_of(a, row, piece.begin + j) = scores[j / width][j % width];
}

/// The scores of R rows and P pieces, column by column. `next` is what is read next.
template <int R, int P>
inline void score_pieces(const attention& a, std::uint32_t row, const key_piece* pieces, const key_piece* next) {
  fvec acc[R][P][parts] = {};
  const float* query = a.query + row;
  for (std::uint32_t c = 0; c < a.width; ++c, query += attention_rows_max) {
    fvec k[P][parts];
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) {
      __builtin_prefetch(next[p].keys + c * a.key_stride);
#pragma GCC unroll 4
      for (int i = 0; i < parts; ++i)
        k[p][i] = load<fvec>(pieces[p].keys + c * a.key_stride + i * width);
    }
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      const fvec q = broadcast(query[r]);
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
        for (int i = 0; i < parts; ++i)
          acc[r][p][i] = madd(q, k[p][i], acc[r][p][i]);
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) {
      fvec scores[parts];
#pragma GCC unroll 4
      for (int i = 0; i < parts; ++i)
        scores[i] = a.scale * acc[r][p][i];
      store_scores(a, row + r, pieces[p], scores);
    }
}

/// The sums of so many vectors stay in registers for R rows, but no more than 4.
template <int R>
constexpr int vectors_beside = R * 4 <= sum_vectors   ? 4
                               : R * 2 <= sum_vectors ? 2
                                                      : 1;
constexpr int pieces_at_once = 4;
template <int R>
constexpr int pieces_beside = vectors_beside<R> / parts > 0 ? vectors_beside<R> / parts : 1;

/// Takes batches of R rows from `row` on, and returns the row behind them.
template <int R>
inline std::uint32_t score_batches(const attention& a, std::uint32_t row, const key_piece* pieces, int count,
                                   const key_piece* next) {
  constexpr int P = pieces_beside<R>;
  const std::uint32_t rows = a.tokens * a.heads;
  for (; row + R <= rows; row += R) {
    int p = 0;
    for (; p + P <= count; p += P)
      score_pieces<R, P>(a, row, pieces + p, next + p);
    for (; p < count; ++p)
      score_pieces<R, 1>(a, row, pieces + p, next + p);
  }
  return row;
}

/// Scores of all rows and positions; those beyond a row's own are not used.
inline void score(const attention& a) {
  key_reader reader{a, first_position(a, 0), a.positions + a.tokens - 1};
  key_piece pieces[pieces_at_once], next[pieces_at_once];
  int count = reader.read(pieces, pieces_at_once);
  while (count > 0) {
    const int following = reader.read(next, pieces_at_once);
    for (int p = following; p < pieces_at_once; ++p)
      next[p] = pieces[0]; // fetched already
    std::uint32_t row = 0;
    if constexpr (sum_vectors >= 24)
      row = score_batches<12>(a, row, pieces, count, next);
    row = score_batches<6>(a, row, pieces, count, next);
    row = score_batches<4>(a, row, pieces, count, next);
    row = score_batches<3>(a, row, pieces, count, next);
    row = score_batches<2>(a, row, pieces, count, next);
    score_batches<1>(a, row, pieces, count, next);
    count = following;
    __builtin_memcpy(pieces, next, sizeof pieces);
  }
}

/// Scores begin … positions - 1 of a row become exponentials of their distance to the maximum; returns their sum.
inline float soften(const attention& a, std::uint32_t row, std::uint32_t begin, std::uint32_t positions) {
  const std::uint32_t first = begin / 16 * 16; // lanes are by absolute position
  const std::uint32_t padded = (positions + 15) / 16 * 16;
  for (std::uint32_t j = first; j < begin; ++j)
    *score_of(a, row, j) = -__builtin_inff(); // its exponential is 0, which changes no sum
  for (std::uint32_t j = positions; j < padded; ++j)
    *score_of(a, row, j) = -__builtin_inff();
  fvec most[parts];
#pragma GCC unroll 4
  for (int i = 0; i < parts; ++i)
    most[i] = broadcast(-__builtin_inff());
  for (std::uint32_t j = first; j < padded; j += 16)
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i)
      most[i] = maximum(most[i], load<fvec>(score_of(a, row, j) + i * width));
  float maximum_score = most[0][0];
  for (int i = 0; i < 16; ++i)
    maximum_score = most[i / width][i % width] > maximum_score ? most[i / width][i % width] : maximum_score;
  fvec sums[parts] = {};
  for (std::uint32_t j = first; j < padded; j += 16)
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i) {
      float* score = score_of(a, row, j) + i * width;
      const fvec e = exponential(load<fvec>(score) - maximum_score);
      store(score, e);
      sums[i] += e;
    }
  return reduce_add(sums);
}

/// Adds positions begin … end - 1 to V vectors of R rows of `out`.
template <int R, int V>
inline void mix(const attention& a, std::uint32_t row, std::uint32_t column, std::uint32_t begin, std::uint32_t end) {
  float* out = a.out + row * a.width + column;
  fvec acc[R][V];
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int i = 0; i < V; ++i)
      acc[r][i] = load<fvec>(out + r * a.width + i * width);
  const std::uint32_t last = (end - 1) / a.block_tokens;
  while (begin < end) {
    const std::uint32_t entry = begin / a.block_tokens, in_block = begin % a.block_tokens;
    std::uint32_t count = end - begin;
    count = at_most(count, a.block_tokens - in_block);
    count = at_most(count, 16 - begin % 16);
    const float* value = a.values + a.table[entry] * a.block_stride + in_block * a.value_stride + column;
    const float* next =
      a.values + a.table[at_most(entry + 1, last)] * a.block_stride + in_block * a.value_stride + column;
    const float* weight = score_of(a, row, begin);
    for (std::uint32_t j = 0; j < count; ++j, value += a.value_stride, next += a.value_stride, ++weight) {
      fvec v[V];
#pragma GCC unroll 4
      for (int i = 0; i < V; ++i) {
        __builtin_prefetch(next + i * width);
        v[i] = load<fvec>(value + i * width);
      }
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) {
        const fvec w = broadcast(weight[r * 16]);
#pragma GCC unroll 4
        for (int i = 0; i < V; ++i)
          acc[r][i] = madd(w, v[i], acc[r][i]);
      }
    }
    begin += count;
  }
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int i = 0; i < V; ++i)
      store(out + r * a.width + i * width, acc[r][i]);
}

/// Takes batches of R rows from `row` on, and returns the row behind them.
template <int R>
inline std::uint32_t mix_batches(const attention& a, std::uint32_t row, std::uint32_t rows_end, std::uint32_t begin,
                                 std::uint32_t end) {
  constexpr int V = vectors_beside<R>;
  for (; row + R <= rows_end; row += R) {
    std::uint32_t column = 0;
    for (; column + V * width <= a.width; column += V * width)
      mix<R, V>(a, row, column, begin, end);
    for (; column < a.width; column += width)
      mix<R, 1>(a, row, column, begin, end);
  }
  return row;
}

/// Adds positions begin … end - 1 to rows row … rows_end - 1 of `out`.
inline void mix_rows(const attention& a, std::uint32_t row, std::uint32_t rows_end, std::uint32_t begin,
                     std::uint32_t end) {
  if (begin >= end)
    return;
  if constexpr (sum_vectors >= 24)
    row = mix_batches<12>(a, row, rows_end, begin, end);
  row = mix_batches<6>(a, row, rows_end, begin, end);
  row = mix_batches<4>(a, row, rows_end, begin, end);
  row = mix_batches<3>(a, row, rows_end, begin, end);
  row = mix_batches<2>(a, row, rows_end, begin, end);
  mix_batches<1>(a, row, rows_end, begin, end);
}

/// Positions whose weights stay in L1 while all columns use them.
constexpr std::uint32_t chunk_positions = 256;

void attend(const attention& a) {
  score(a);
  const std::uint32_t rows = a.tokens * a.heads;
  float inverse[attention_rows_max];
  for (std::uint32_t row = 0; row < rows; ++row) {
    const std::uint32_t token = row / a.heads;
    inverse[row] = 1.0f / soften(a, row, first_position(a, token), a.positions + token);
  }
  __builtin_memset(a.out, 0, rows * a.width * sizeof(float));
  // Positions that all tokens see; before and behind them each token is alone.
  const std::uint32_t end = a.positions;
  std::uint32_t begin = at_most(first_position(a, a.tokens - 1), end);
  for (std::uint32_t token = 0; token < a.tokens; ++token)
    mix_rows(a, token * a.heads, (token + 1) * a.heads, first_position(a, token), begin);
  for (; begin < end; begin += chunk_positions)
    mix_rows(a, 0, rows, begin, at_most(end, begin + chunk_positions));
  for (std::uint32_t token = 1; token < a.tokens; ++token) {
    const std::uint32_t own = first_position(a, token);
    mix_rows(a, token * a.heads, (token + 1) * a.heads, own > end ? own : end, end + token);
  }
  for (std::uint32_t row = 0; row < rows; ++row)
    for (std::uint32_t c = 0; c < a.width; c += width)
      store(a.out + row * a.width + c, load<fvec>(a.out + row * a.width + c) * inverse[row]);
}
