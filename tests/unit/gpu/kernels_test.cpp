// SPDX-License-Identifier: Apache-2.0
// Every kernel of every path of this CPU against double precision, and against itself.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <numbers>
#include <string_view>
#include <vector>

#include "gpu/host/kernels.hpp"
#include "gpu/host/packed_matrix.hpp"
#include "tests/support/random_floats.hpp"
#include "tests/support/tiny_llama.hpp"

using namespace troupe;
using namespace troupe::gpu;
using namespace troupe::gpu::host;
using test::random_floats;

namespace {

/// A packed random matrix with the memory that it lies in.
struct random_weights {
  random_weights(tensor_type type, std::uint32_t rows, std::uint32_t columns)
    : file(test::random_matrix(type, rows, columns, rows * 1000 + columns)), packed(packed_bytes(type, rows, columns)) {
    view = pack({"w", type, {columns, rows, 1, 1}, file}, packed.data());
  }
  std::vector<std::byte> file;
  std::vector<std::byte> packed;
  packed_view view;
};

/// Activations [tokens][columns] as products of quantised weights want them.
struct rounded_activations {
  rounded_activations(simd_path path, const float* x, std::uint32_t tokens, std::uint32_t columns)
    : stride(columns / quant_columns * quant_columns), quants((tokens + 15) * stride),
      blocks((tokens + 15) * stride / quant_columns) {
    for (std::size_t t = 0; t < tokens; ++t)
      kernels_of(path).quantise(x + t * columns, static_cast<std::uint32_t>(stride), tokens, row(t));
  }
  quantised_rows row(std::size_t t) {
    return {quants.data() + t * stride, blocks.data() + t * stride / quant_columns, stride};
  }
  /// In the order of columns. Of few tokens the paths with VNNI keep the high bytes of a block's quads, then the low
  /// ones.
  std::vector<std::int16_t> quants_of_columns(simd_path path) const {
    if (path != simd_path::avx512_vnni && path != simd_path::amx)
      return quants;
    std::vector<std::int16_t> result(quants.size());
    const auto* bytes = reinterpret_cast<const std::int8_t*>(quants.data());
    for (std::size_t i = 0; i < result.size(); ++i) {
      constexpr std::array<std::size_t, 4> byte_of{0, 2, 1, 3};
      const auto* byte = bytes + i / 32 * 64 + i % 32 / 4 * 4 + byte_of[i % 4];
      result[i] = static_cast<std::int16_t>(256 * byte[0] + byte[32]);
    }
    return result;
  }
  std::size_t stride;
  std::vector<std::int16_t> quants;
  std::vector<activation_block> blocks;
};

/// Activations split into bf16, on the paths that do.
struct split_into_bfloats {
  split_into_bfloats(simd_path path, const float* x, std::uint32_t tokens, std::uint32_t columns)
    : stride((columns + bfloat_columns - 1) / bfloat_columns * bfloat_columns), parts(tokens * 3 * stride) {
    if (kernels_of(path).split_bfloats != nullptr)
      for (std::size_t t = 0; t < tokens; ++t)
        kernels_of(path).split_bfloats(x + t * columns, columns, {parts.data() + t * 3 * stride, stride});
  }
  bfloat_parts rows() { return {parts.data(), stride}; }
  std::size_t stride;
  std::vector<std::uint16_t> parts;
};

/// out[tokens][padded rows] of one call over all groups.
std::vector<float> multiply(simd_path path, const packed_view& w, const std::vector<float>& x, std::uint32_t first,
                            std::uint32_t tokens) {
  std::vector<float> out(std::size_t{tokens} * padded(w.rows));
  const auto* rows = x.data() + std::size_t{first} * w.columns;
  rounded_activations rounded{path, rows, tokens, w.columns};
  split_into_bfloats split{path, rows, tokens, w.columns};
  kernels_of(path).multiply({.weights = w,
                             .x = rows,
                             .x_stride = w.columns,
                             .quantised = rounded.row(0),
                             .bfloats = split.rows(),
                             .out = out.data(),
                             .out_stride = padded(w.rows),
                             .tokens = tokens,
                             .group_end = w.groups()});
  return out;
}

constexpr tensor_type all_types[] = {tensor_type::f32,  tensor_type::f16,  tensor_type::bf16, tensor_type::q8_0,
                                     tensor_type::q4_0, tensor_type::q4_1, tensor_type::q5_0, tensor_type::q5_1,
                                     tensor_type::q4_k, tensor_type::q5_k, tensor_type::q6_k};

bool is_plain(tensor_type type) { return packing_of(type).elements == 1; }

/// Rows and columns; columns of the plain types need not be whole blocks.
std::vector<std::pair<std::uint32_t, std::uint32_t>> shapes_of(tensor_type type) {
  switch (packing_of(type).elements) {
    case 1: return {{1, 1}, {17, 3}, {33, 257}, {16, 400}, {79, 64}};
    case 32: return {{1, 32}, {17, 64}, {33, 288}, {80, 416}, {79, 96}};
    default: return {{1, 256}, {17, 512}, {33, 768}, {80, 512}, {79, 256}};
  }
}

} // namespace

TEST_CASE("products are those of double precision for every type, odd shape and path") {
  for (auto type : all_types)
    for (auto [rows, columns] : shapes_of(type)) {
      const random_weights w{type, rows, columns};
      constexpr std::uint32_t tokens = 15;
      const auto x = random_floats(std::size_t{tokens} * columns, 1);
      std::vector<float> row(columns);
      std::vector<double> expected_out;
      // The error of a sum of n products is, generously, n × 2^-24 × Σ |w x|. Rounded activations are off by half of
      // 2^-15 × the largest of their 32, so that the products of quantised weights are by 2^-16 × Σ |w| × that.
      std::vector<double> bound;
      for (std::uint32_t r = 0; r < rows; ++r) {
        unpack_row(w.view, r, row.data());
        for (std::uint32_t t = 0; t < tokens; ++t) {
          double sum = 0, magnitude = 0, rounding = 0;
          for (std::uint32_t k = 0; k < columns; ++k) {
            if (!is_plain(type)) {
              const auto* block = x.data() + t * columns + k / 32 * 32;
              const auto largest = std::abs(
                *std::max_element(block, block + 32, [](float a, float b) { return std::abs(a) < std::abs(b); }));
              rounding += std::abs(row[k]) * largest * 0x1.01p-16;
              magnitude += std::abs(row[k]) * largest; // of the sums' terms: those of scale and of minimum may cancel
            }
            const double product = static_cast<double>(row[k]) * x[t * columns + k];
            sum += product;
            magnitude += std::abs(product);
          }
          expected_out.push_back(sum);
          bound.push_back((columns + 4) * 0x1p-24 * magnitude + rounding + 1e-12);
        }
      }
      for (auto path : supported_simd_paths()) {
        const auto out = multiply(path, w.view, x, 0, tokens);
        std::size_t wrong = 0;
        for (std::uint32_t r = 0; r < rows; ++r)
          for (std::uint32_t t = 0; t < tokens; ++t)
            wrong += !(std::abs(out[t * padded(rows) + r] - expected_out[r * tokens + t]) <= bound[r * tokens + t]);
        CAPTURE(to_string(path));
        CAPTURE(to_string(type));
        CAPTURE(rows);
        CAPTURE(columns);
        CHECK(wrong == 0);
      }
    }
}

TEST_CASE("a product has the same bits in every batch and cut of the rows") {
  for (auto path : supported_simd_paths())
    for (auto type : all_types) {
      const auto [rows, columns] = shapes_of(type).at(2); // longer than a tile
      const random_weights w{type, rows, columns};
      constexpr std::uint32_t tokens = 29;
      const auto x = random_floats(std::size_t{tokens} * columns, 2);
      const auto stride = padded(rows);
      std::vector<float> singles;
      for (std::uint32_t t = 0; t < tokens; ++t) {
        const auto one = multiply(path, w.view, x, t, 1);
        singles.insert(singles.end(), one.begin(), one.end());
      }
      std::size_t wrong = 0;
      for (std::uint32_t batch = 2; batch <= tokens; ++batch) {
        const auto out = multiply(path, w.view, x, 0, batch);
        wrong += !std::equal(out.begin(), out.end(), singles.begin());
      }
      // Group by group, added to what is there.
      std::vector<float> sums(std::size_t{tokens} * stride, 1.0f);
      rounded_activations rounded{path, x.data(), tokens, columns};
      split_into_bfloats split{path, x.data(), tokens, columns};
      for (std::uint32_t g = 0; g < w.view.groups(); ++g)
        kernels_of(path).multiply({.weights = w.view,
                                   .x = x.data(),
                                   .x_stride = columns,
                                   .quantised = rounded.row(0),
                                   .bfloats = split.rows(),
                                   .out = sums.data(),
                                   .out_stride = stride,
                                   .tokens = tokens,
                                   .group_begin = g,
                                   .group_end = g + 1,
                                   .end = epilogue::add});
      for (std::size_t i = 0; i < sums.size(); ++i)
        wrong += sums[i] != 1.0f + singles[i];
      CAPTURE(to_string(path));
      CAPTURE(to_string(type));
      CHECK(wrong == 0);
    }
}

TEST_CASE("the fused paths have equal bits, and all paths round activations alike") {
  const auto paths = supported_simd_paths();
  for (auto path : paths) {
    const auto x = random_floats(512, 3);
    const rounded_activations portable{simd_path::portable, x.data(), 1, 512}, other{path, x.data(), 1, 512};
    CHECK(portable.quants == other.quants_of_columns(path));
    CHECK(std::memcmp(portable.blocks.data(), other.blocks.data(), sizeof(activation_block) * 16) == 0);
    if (path == simd_path::portable || path == simd_path::avx2)
      continue;
    MESSAGE("avx2 against " << to_string(path));
    for (auto type : all_types) {
      if (type == tensor_type::bf16 && kernels_of(path).split_bfloats != nullptr)
        continue; // tiles have an order of their own
      for (auto [rows, columns] : shapes_of(type)) {
        const random_weights w{type, rows, columns};
        for (std::uint32_t tokens : {1u, 3u, 8u, 12u, 13u, 16u, 20u, 100u, 256u}) {
          const auto many = random_floats(std::size_t{tokens} * columns, tokens);
          CAPTURE(to_string(path));
          CAPTURE(to_string(type));
          CAPTURE(tokens);
          CHECK((multiply(simd_path::avx2, w.view, many, 0, tokens) == multiply(path, w.view, many, 0, tokens)));
        }
      }
    }
  }
  if (paths.back() == simd_path::avx2)
    MESSAGE("SKIPPED: this CPU has no AVX-512");
}

TEST_CASE("tiles of bf16 add in the order that kernels.hpp gives") {
  const auto& kernels = kernels_of(simd_path::amx);
  if (supported_simd_paths().back() != simd_path::amx || kernels.split_bfloats == nullptr) {
    MESSAGE("SKIPPED: this CPU has no AMX");
    return;
  }
  const auto value = [](std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); };
  for (auto [rows, columns] : {std::pair{16u, 32u}, {33u, 257u}, {80u, 1056u}})
    for (std::uint32_t tokens : {1u, 7u, 40u}) {
      const random_weights w{tensor_type::bf16, rows, columns};
      const auto x = random_floats(std::size_t{tokens} * columns, 4);
      split_into_bfloats split{simd_path::amx, x.data(), tokens, columns};
      const auto out = multiply(simd_path::amx, w.view, x, 0, tokens);
      std::vector<float> row(split.stride);
      std::size_t wrong = 0;
      for (std::uint32_t t = 0; t < tokens; ++t)
        for (std::uint32_t c = 0; c < columns; ++c) {
          double sum = 0;
          for (std::size_t part = 0; part < 3; ++part)
            sum += value(split.parts[(t * 3 + part) * split.stride + c]);
          wrong += std::abs(sum - x[t * columns + c]) > std::abs(x[t * columns + c]) * 0x1p-24;
        }
      CHECK(wrong == 0);
      for (std::uint32_t r = 0; r < rows; ++r) {
        unpack_row(w.view, r, row.data());
        for (std::uint32_t t = 0; t < tokens; ++t) {
          float sum = 0;
          for (std::uint32_t k = 0; k < columns; k += bfloat_columns)
            for (std::size_t part = 0; part < 3; ++part) {
              float halves[2] = {};
              for (std::uint32_t i = 0; i < bfloat_columns; ++i)
                halves[i % 2] =
                  std::fma(value(split.parts[(t * 3 + part) * split.stride + k + i]), row[k + i], halves[i % 2]);
              sum += halves[0] + halves[1];
            }
          wrong += out[t * padded(rows) + r] != sum;
        }
      }
      CAPTURE(columns);
      CAPTURE(tokens);
      CHECK(wrong == 0);
    }
}

TEST_CASE("packing keeps every value: GGUF's definition of each type") {
  // One row, by hand: scale 0.5 (f16 0x3800), minimum -1 (0xbc00), quants 0, 1, 2 … in file order.
  std::vector<std::byte> q4_1{std::byte{0x00}, std::byte{0x38}, std::byte{0x00}, std::byte{0xbc}};
  std::vector<std::byte> q4_0{std::byte{0x00}, std::byte{0x38}};
  std::vector<std::byte> q8_0{std::byte{0x00}, std::byte{0x38}};
  for (int i = 0; i < 16; ++i) {
    q4_1.push_back(static_cast<std::byte>(i | (15 - i) << 4));
    q4_0.push_back(static_cast<std::byte>(i | (15 - i) << 4));
  }
  for (int i = 0; i < 32; ++i)
    q8_0.push_back(static_cast<std::byte>(i - 16));
  const auto unpacked = [](tensor_type type, const std::vector<std::byte>& data) {
    std::vector<std::byte> packed(packed_bytes(type, 1, 32));
    std::vector<float> row(32);
    unpack_row(pack({"w", type, {32, 1, 1, 1}, data}, packed.data()), 0, row.data());
    return row;
  };
  const auto a = unpacked(tensor_type::q4_1, q4_1), b = unpacked(tensor_type::q4_0, q4_0),
             c = unpacked(tensor_type::q8_0, q8_0);
  for (int i = 0; i < 32; ++i) {
    const int nibble = i < 16 ? i : 31 - i;
    CHECK(a[i] == 0.5f * nibble - 1);
    CHECK(b[i] == 0.5f * (nibble - 8));
    CHECK(c[i] == 0.5f * (i - 16));
  }
}

TEST_CASE("values of every quantised type are those of an independent reader, to the bit") {
  std::ifstream file{TROUPE_SOURCE_DIR "/tests/goldens/quants/rows.bin", std::ios::binary};
  char magic[8];
  std::uint32_t head[3]; // types, rows, columns
  REQUIRE(file.read(magic, sizeof magic));
  REQUIRE(std::string_view{magic, sizeof magic} == "TRQUANT1");
  REQUIRE(file.read(reinterpret_cast<char*>(head), sizeof head));
  const auto rows = head[1], columns = head[2];
  for (std::uint32_t i = 0; i < head[0]; ++i) {
    std::uint32_t number = 0, row_bytes = 0;
    REQUIRE(file.read(reinterpret_cast<char*>(&number), 4));
    REQUIRE(file.read(reinterpret_cast<char*>(&row_bytes), 4));
    const auto type = static_cast<tensor_type>(number);
    REQUIRE(row_bytes == columns / packing_of(type).elements * packing_of(type).bytes);
    std::vector<std::byte> data(std::size_t{rows} * row_bytes);
    std::vector<float> values(std::size_t{rows} * columns), row(columns);
    REQUIRE(file.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size())));
    REQUIRE(file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * 4)));
    std::vector<std::byte> packed(packed_bytes(type, rows, columns));
    const auto view = pack({"w", type, {columns, rows, 1, 1}, data}, packed.data());
    for (std::uint32_t r = 0; r < rows; ++r) {
      unpack_row(view, r, row.data());
      CAPTURE(to_string(type));
      CHECK(std::memcmp(row.data(), values.data() + r * columns, columns * sizeof(float)) == 0);
    }
  }
  CHECK(head[0] == 8);
}

TEST_CASE("activations round to nearest even, zeros and tiny ones to zero, and what is not finite stays visible") {
  for (auto path : supported_simd_paths()) {
    std::vector<float> x(7 * 32);
    for (int i = 0; i < 32; ++i) {
      x[32 + i] = i == 5 ? -32639.0f : static_cast<float>(i) + 0.5f; // scale 1: halves go to even
      x[64 + i] = 0x1p-110f;
      x[96 + i] = i == 31 ? __builtin_inff() : 1;
      x[128 + i] = i == 0 ? __builtin_nanf("") : 1;
      x[160 + i] = i == 3 ? 3e38f : -3e38f;
      x[192 + i] = i == 9 ? 0x1p-149f : 0;
    }
    rounded_activations rounded{path, x.data(), 1, 7 * 32};
    const auto q = rounded.quants_of_columns(path);
    std::int32_t sum = 0;
    for (int i = 0; i < 32; ++i) {
      CHECK(q[i] == 0);
      CHECK(q[32 + i] == (i == 5 ? -32639 : i % 2 == 0 ? i : i + 1));
      sum += q[32 + i];
      CHECK(q[64 + i] == 0);
      CHECK(q[160 + i] == (i == 3 ? 32639 : -32639));
    }
    CHECK(rounded.blocks[0].scale == 0);
    CHECK(rounded.blocks[1].scale == 1);
    CHECK(rounded.blocks[1].half_sums[0] + rounded.blocks[1].half_sums[1] == sum);
    CHECK(rounded.blocks[1].sum == static_cast<float>(sum));
    CHECK(rounded.blocks[2].scale == 0);
    CHECK(std::isnan(rounded.blocks[3].scale));
    CHECK(std::isnan(rounded.blocks[4].scale));
    CHECK(std::isfinite(rounded.blocks[5].scale));
    CHECK(rounded.blocks[6].scale == 0);
    // A product with a block that is not finite is not a number; one whose blocks are zero is zero.
    for (auto type : all_types) {
      if (is_plain(type))
        continue;
      const random_weights w{type, 17, 256};
      std::vector<float> bad(256 * 5, 0.5f);
      bad[256 + 40] = __builtin_nanf("");
      bad[512 + 200] = -__builtin_inff();
      std::fill_n(bad.begin() + 768, 256, 0.0f);
      for (std::uint32_t tokens : {1u, 5u}) {
        const auto out = multiply(path, w.view, bad, tokens == 1 ? 1 : 0, tokens);
        const auto* spoiled = out.data() + (tokens == 1 ? 0 : padded(17));
        for (int r = 0; r < 17; ++r)
          CHECK(std::isnan(spoiled[r]));
        if (tokens == 1)
          continue;
        for (int r = 0; r < 17; ++r) {
          CHECK(std::isfinite(out[r]));
          CHECK(std::isnan(out[2 * padded(17) + r]));
          CHECK(out[3 * padded(17) + r] == 0);
          CHECK(std::isfinite(out[4 * padded(17) + r]));
        }
      }
    }
  }
}

TEST_CASE("the largest sums of integers do not overflow") {
  // Every quant and every activation at its end: −128 or 127 times ±32,639.
  for (auto path : supported_simd_paths())
    for (int quant : {-128, 127}) {
      std::vector<std::byte> block(34, static_cast<std::byte>(quant));
      block[0] = std::byte{0x00};
      block[1] = std::byte{0x3c}; // scale 1
      std::vector<std::byte> packed(packed_bytes(tensor_type::q8_0, 1, 32));
      const auto view = pack({"w", tensor_type::q8_0, {32, 1, 1, 1}, block}, packed.data());
      for (float sign : {1.0f, -1.0f})
        for (std::uint32_t tokens : {1u, 20u}) {
          const auto out = multiply(path, view, std::vector<float>(32 * tokens, sign * 32639), 0, tokens);
          CHECK(out[0] == sign * 32.0f * 32639.0f * static_cast<float>(quant));
          CHECK(out[(tokens - 1) * 16] == out[0]);
        }
    }
}

TEST_CASE("every half is widened exactly by every path") {
  std::vector<std::byte> file(65'536 * 2);
  for (std::uint32_t h = 0; h < 65'536; ++h) {
    file[2 * h] = static_cast<std::byte>(h);
    file[2 * h + 1] = static_cast<std::byte>(h >> 8);
  }
  const tensor_info tensor{"w", tensor_type::f16, {1, 65'536, 1, 1}, file};
  std::vector<std::byte> packed(packed_bytes(tensor.type, 65'536, 1));
  const auto view = pack(tensor, packed.data());
  for (auto path : supported_simd_paths()) {
    const auto out = multiply(path, view, {1.0f}, 0, 1);
    std::size_t wrong = 0;
    for (std::uint32_t h = 0; h < 65'536; ++h) {
      const int exponent = h >> 10 & 31, mantissa = h & 1023;
      if (exponent == 31) {
        wrong += mantissa == 0 ? !std::isinf(out[h]) : !std::isnan(out[h]);
        continue;
      }
      const double magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
      wrong +=
        out[h] != (h & 0x8000 ? -magnitude : magnitude) || half_to_float(static_cast<std::uint16_t>(h)) != out[h];
    }
    CAPTURE(to_string(path));
    CHECK(wrong == 0);
  }
}

TEST_CASE("a norm of a head in a row reads and writes that head alone") {
  for (auto path : supported_simd_paths())
    for (std::uint32_t width : {6u, 16u, 24u, 40u}) {
      auto row = random_floats(3 * width, width);
      const auto before = row;
      const auto weight = random_floats(width, width + 1);
      kernels_of(path).rms_norm(row.data() + width, weight.data(), row.data() + width, width, width, 1e-6f);
      double squares = 0;
      for (std::uint32_t i = width; i < 2 * width; ++i)
        squares += static_cast<double>(before[i]) * before[i];
      for (std::uint32_t i = 0; i < 3 * width; ++i)
        if (i < width || i >= 2 * width)
          CHECK(row[i] == before[i]);
        else
          CHECK(row[i]
                == doctest::Approx(before[i] / std::sqrt(squares / width + 1e-6) * weight[i - width]).epsilon(1e-6));
      // The bits of a padded call.
      std::vector<float> x(padded(width)), w(padded(width)), out(padded(width));
      std::copy_n(before.begin() + width, width, x.begin());
      std::copy_n(weight.begin(), width, w.begin());
      kernels_of(path).rms_norm(x.data(), w.data(), out.data(), width, padded(width), 1e-6f);
      CHECK(std::equal(row.begin() + width, row.begin() + 2 * width, out.begin()));
    }
}

TEST_CASE("the tanh gate is that of double precision, to 2e-7 at every size") {
  constexpr std::uint32_t count = 65'536;
  for (auto path : supported_simd_paths()) {
    std::vector<float> gate(count);
    for (std::uint32_t i = 0; i < count; ++i)
      gate[i] = static_cast<float>(i) * 0x1p-12f - 8; // −8 … 8
    const auto before = gate;
    const auto up = random_floats(count, 9);
    kernels_of(path).geglu(gate.data(), up.data(), count);
    double most = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const double g = before[i];
      const double u = std::sqrt(2 / std::numbers::pi) * (g + 0.044715 * g * g * g);
      const double exact = g / (1 + std::exp(-2 * u)) * up[i]; // g / 2 × (1 + tanh u) without its cancellation
      if (exact != 0)
        most = std::max(most, std::abs(gate[i] - exact) / std::abs(exact));
    }
    CAPTURE(to_string(path));
    CHECK(most <= 2e-7);
    MESSAGE(to_string(path) << ": " << most);
    std::vector<float> extreme{-100, 100, 1e30f, -1e30f, -__builtin_inff(), __builtin_inff(), __builtin_nanf("")};
    extreme.resize(16);
    const std::vector<float> ones(16, 1.0f);
    kernels_of(path).geglu(extreme.data(), ones.data(), 16);
    CHECK(std::abs(extreme[0]) < 1e-35f);
    CHECK(extreme[1] == 100);
    CHECK(extreme[2] == 1e30f);
    CHECK(std::isnan(extreme[6]));
  }
}

TEST_CASE("norm and gate are those of double precision") {
  for (std::uint32_t width : {5u, 16u, 64u, 172u, 576u})
    for (auto path : supported_simd_paths()) {
      auto x = random_floats(padded(width), width);
      auto weight = random_floats(padded(width), width + 1);
      std::fill(x.begin() + width, x.end(), 0.0f);
      std::vector<float> out(padded(width));
      kernels_of(path).rms_norm(x.data(), weight.data(), out.data(), width, padded(width), 1e-5f);
      double squares = 0;
      for (float v : x)
        squares += static_cast<double>(v) * v;
      for (std::uint32_t i = 0; i < width; ++i)
        CHECK(out[i] == doctest::Approx(x[i] / std::sqrt(squares / width + 1e-5) * weight[i]).epsilon(1e-6));

      auto gate = random_floats(padded(width), width + 2);
      for (auto& g : gate)
        g *= 100; // both ends of the exponential
      const auto before = gate;
      kernels_of(path).swiglu(gate.data(), weight.data(), padded(width));
      for (std::uint32_t i = 0; i < width; ++i) {
        const double silu = before[i] / (1 + std::exp(-static_cast<double>(before[i])));
        CHECK(std::abs(gate[i] - silu * weight[i]) <= 1e-6 * std::abs(silu * weight[i]) + 1e-30);
      }
    }
}

TEST_CASE("a path that the CPU does not run is refused by name, and names are those of the option") {
  for (auto path : simd_paths) {
    CHECK(simd_path_from_string(to_string(path)) == path);
    const auto chosen = choose_simd_path(path);
    const auto supported = supported_simd_paths();
    if (std::ranges::find(supported, path) != supported.end()) {
      REQUIRE(chosen);
      CHECK(*chosen == path);
    } else {
      REQUIRE_FALSE(chosen);
      CHECK(chosen.error().code == errc::unsupported);
      CHECK(chosen.error().context.find("does not run the path " + std::string{to_string(path)} + "; it runs portable")
            != std::string::npos);
      CHECK(chosen.error().context.ends_with(to_string(supported.back())));
    }
  }
  CHECK_FALSE(simd_path_from_string("neon"));
  CHECK(*choose_simd_path({}) == supported_simd_paths().back());
}
