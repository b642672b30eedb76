// SPDX-License-Identifier: Apache-2.0
// The attention kernel of every path of this CPU against double precision, and against itself.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "gpu/host/kernels.hpp"
#include "gpu/host/packed_matrix.hpp"
#include "tests/support/random_floats.hpp"

using namespace troupe;
using namespace troupe::gpu::host;
using test::random_floats;

namespace {

constexpr std::uint32_t whole_window = 0xffffffff;

/// Random keys and values of one kv head in scattered blocks. What belongs to no position is not a number.
struct paged_kv {
  paged_kv(std::uint32_t width, std::uint32_t block_tokens, std::uint32_t blocks, std::uint64_t seed)
    : width{width}, block_tokens{block_tokens}, key_stride{padded(block_tokens)},
      block_stride{width * (key_stride + block_tokens)}, memory(std::size_t{blocks} * block_stride, std::nanf("")) {
    const auto random = random_floats(std::size_t{blocks} * block_tokens * 2 * width, seed);
    for (std::uint32_t i = 0; i < blocks; ++i)
      table.push_back(i * 7 % blocks);
    auto next = random.begin();
    for (std::uint32_t j = 0; j < blocks * block_tokens; ++j)
      for (std::uint32_t c = 0; c < width; ++c) {
        key(j, c) = *next++;
        value(j, c) = *next++;
      }
  }

  float& key(std::uint32_t position, std::uint32_t column) {
    return memory[table[position / block_tokens] * block_stride + column * key_stride + position % block_tokens];
  }
  float& value(std::uint32_t position, std::uint32_t column) {
    return memory[table[position / block_tokens] * block_stride + (key_stride + position % block_tokens) * width
                  + column];
  }

  /// A call's fields that this gives.
  attention fields() const {
    return {.width = width,
            .keys = memory.data(),
            .values = memory.data() + key_stride * width,
            .table = table.data(),
            .block_stride = block_stride,
            .key_stride = key_stride,
            .value_stride = width,
            .block_tokens = block_tokens};
  }

  std::uint32_t width, block_tokens, key_stride, block_stride;
  std::vector<float> memory;
  std::vector<std::uint32_t> table;
};

/// What `a` gives, with room for its scores. query: [tokens][heads][width].
std::vector<float> attend(simd_path path, attention a, const float* query) {
  const auto rows = a.tokens * a.heads;
  std::vector<float> out(rows * a.width), scores(attention_rows_max * padded(a.positions + a.tokens - 1));
  std::vector<float> columns(a.width * attention_rows_max);
  for (std::uint32_t row = 0; row < rows; ++row)
    for (std::uint32_t c = 0; c < a.width; ++c)
      columns[c * attention_rows_max + row] = query[row * a.width + c];
  a.query = columns.data();
  a.out = out.data();
  a.scores = scores.data();
  kernels_of(path).attend(a);
  return out;
}

/// One head's attention to positions begin … end - 1, in double precision.
std::vector<double> in_double(paged_kv& kv, const float* query, float scale, std::uint32_t begin, std::uint32_t end) {
  std::vector<double> out(kv.width);
  double total = 0;
  for (std::uint32_t j = begin; j < end; ++j) {
    double score = 0;
    for (std::uint32_t c = 0; c < kv.width; ++c)
      score += static_cast<double>(query[c]) * kv.key(j, c);
    const double weight = std::exp(score * scale);
    total += weight;
    for (std::uint32_t c = 0; c < kv.width; ++c)
      out[c] += weight * kv.value(j, c);
  }
  for (auto& x : out)
    x /= total;
  return out;
}

double largest_difference(const std::vector<double>& expected, const float* got) {
  double most = 0;
  for (std::size_t i = 0; i < expected.size(); ++i)
    most = std::max(most, std::abs(expected[i] - got[i]));
  return most;
}

} // namespace

TEST_CASE("attention is that of double precision, over scattered blocks, for every number of heads") {
  for (std::uint32_t block_tokens : {4u, 16u, 24u})
    for (std::uint32_t width : {16u, 48u, 64u}) {
      paged_kv kv{width, block_tokens, 160 / block_tokens + 1, 4};
      for (std::uint32_t heads = 1; heads <= attention_heads_max; ++heads)
        for (std::uint32_t positions : {1u, 4u, 15u, 16u, 17u, 150u}) {
          auto query = random_floats(std::size_t{heads} * width, positions);
          for (auto& q : query)
            q *= 4; // so that the softmax is far from flat
          auto a = kv.fields();
          a.heads = heads;
          a.positions = positions;
          a.scale = 1 / std::sqrt(static_cast<float>(width));
          for (auto path : supported_simd_paths()) {
            const auto out = attend(path, a, query.data());
            CAPTURE(to_string(path));
            CAPTURE(block_tokens);
            CAPTURE(width);
            CAPTURE(heads);
            CAPTURE(positions);
            // Values are below 1; scores reach 16, so weights are off by a few 1e-7.
            for (std::uint32_t h = 0; h < heads; ++h)
              CHECK(largest_difference(in_double(kv, query.data() + h * width, a.scale, 0, positions),
                                       out.data() + h * width)
                    < 2e-6);
          }
        }
    }
}

TEST_CASE("a head has the same bits alone and beside others") {
  paged_kv kv{64, 16, 1, 5};
  const auto query = random_floats(4 * 64, 6);
  for (auto path : supported_simd_paths()) {
    const auto of_heads = [&](std::uint32_t first, std::uint32_t heads) {
      auto a = kv.fields();
      a.heads = heads;
      a.positions = 13;
      a.scale = 0.125f;
      return attend(path, a, query.data() + first * 64);
    };
    const auto all = of_heads(0, 4);
    for (std::uint32_t first = 0; first < 4; ++first)
      for (std::uint32_t heads = 1; first + heads <= 4; ++heads) {
        const auto some = of_heads(first, heads);
        CHECK(std::equal(some.begin(), some.end(), all.begin() + first * 64));
      }
  }
}

TEST_CASE("positions before a window are not attended to, nor are their blocks looked up") {
  constexpr std::uint32_t block_tokens = 4, width = 32, heads = 3, positions = 61;
  paged_kv kv{width, block_tokens, 16, 7};
  const auto query = random_floats(std::size_t{heads} * width, 8);
  for (auto path : supported_simd_paths()) {
    for (std::uint32_t begin : {0u, 1u, 4u, 15u, 16u, 18u, 47u, 60u}) {
      CAPTURE(to_string(path));
      CAPTURE(begin);
      auto a = kv.fields();
      a.heads = heads;
      a.positions = positions;
      a.scale = 0.5f;
      a.window = positions - begin;
      auto entries = kv.table;
      std::fill_n(entries.begin(), begin / block_tokens, 1u << 31);
      a.table = entries.data();
      const auto out = attend(path, a, query.data());
      CHECK(largest_difference(in_double(kv, query.data(), a.scale, begin, positions), out.data()) < 2e-6);
      // Keys of −inf · query: scores of −∞, weights of exactly 0, which change no bit of a sum or a mixture. So the
      // bits are those of a call that sees all positions, for head 0, whose query the hidden keys oppose.
      auto hidden = kv;
      for (std::uint32_t j = 0; j < begin; ++j)
        for (std::uint32_t c = 0; c < width; ++c)
          hidden.key(j, c) = c == 0 ? -1e30f * query[0] : 0;
      auto b = hidden.fields();
      b.heads = heads;
      b.positions = positions;
      b.scale = 0.5f;
      const auto all = attend(path, b, query.data());
      CHECK(std::equal(out.begin(), out.begin() + width, all.begin()));
    }
  }
}

TEST_CASE(
  "tokens that share passes over keys and values have the bits that each has alone, with and without a window") {
  for (std::uint32_t width : {16u, 64u, 80u}) {
    paged_kv kv{width, 16, 42, 10};
    for (auto path : supported_simd_paths())
      for (std::uint32_t heads = 1; heads <= attention_heads_max; ++heads)
        for (std::uint32_t tokens = 2; tokens * heads <= attention_rows_max; ++tokens)
          for (std::uint32_t positions : {1u, 15u, 61u, 300u, 650u})
            for (std::uint32_t window : {whole_window, 3u, 16u, 63u, 200u}) {
              const auto query = random_floats(std::size_t{tokens} * heads * width, positions);
              auto a = kv.fields();
              a.heads = heads;
              a.window = window;
              a.positions = positions;
              a.scale = 1.5f;
              a.tokens = tokens;
              const auto together = attend(path, a, query.data());
              std::vector<float> alone;
              a.tokens = 1;
              for (std::uint32_t t = 0; t < tokens; ++t) {
                a.positions = positions + t;
                const auto one = attend(path, a, query.data() + t * heads * width);
                alone.insert(alone.end(), one.begin(), one.end());
              }
              CAPTURE(to_string(path));
              CAPTURE(width);
              CAPTURE(heads);
              CAPTURE(tokens);
              CAPTURE(positions);
              CAPTURE(window);
              REQUIRE((together == alone));
            }
  }
}

TEST_CASE("paths with fused operations attend with equal bits") {
  paged_kv kv{64, 16, 42, 11};
  const auto query = random_floats(std::size_t{12} * 64, 12);
  auto a = kv.fields();
  a.heads = 3;
  a.tokens = 4;
  a.positions = 650;
  a.scale = 0.7f;
  std::vector<float> first;
  for (auto path : supported_simd_paths()) {
    if (path == simd_path::portable)
      continue;
    const auto out = attend(path, a, query.data());
    if (first.empty())
      first = out;
    CAPTURE(to_string(path));
    CHECK((out == first));
  }
}
