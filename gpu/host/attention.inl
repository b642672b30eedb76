// SPDX-License-Identifier: Apache-2.0
// Attention over paged keys and values. Part of kernels.inl.

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
