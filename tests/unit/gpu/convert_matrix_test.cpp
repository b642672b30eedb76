// SPDX-License-Identifier: Apache-2.0
#include "gpu/host/convert_matrix.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "gpu/host/packed_matrix.hpp"

using namespace troupe::gpu;
using namespace troupe::gpu::host;

namespace {

float bfloat_to_float(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

/// The nearest of all finite numbers of a 16-bit format, found by looking at its neighbours.
template <class Widen>
void check_rounding(float value, std::uint16_t got, Widen widen) {
  const auto exact = static_cast<double>(value);
  const auto error = std::abs(static_cast<double>(widen(got)) - exact);
  for (int step : {-1, 1}) {
    const auto other = static_cast<std::uint16_t>(got + step);
    if (!std::isfinite(widen(other)) || std::signbit(widen(other)) != std::signbit(value))
      continue;
    const auto its = std::abs(static_cast<double>(widen(other)) - exact);
    CHECK_MESSAGE((error < its || (error == its && got % 2 == 0)), value << " as " << got << ", not " << other);
  }
}

std::vector<std::byte> bytes_of(const std::vector<float>& values) {
  std::vector<std::byte> result(values.size() * sizeof(float));
  std::memcpy(result.data(), values.data(), result.size());
  return result;
}

} // namespace

TEST_CASE("every half is itself, and what lies between two is rounded to the nearer, on a tie to the even one") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const auto value = half_to_float(half);
    if (std::isnan(value)) {
      CHECK(std::isnan(half_to_float(float_to_half(value))));
      continue;
    }
    CHECK(float_to_half(value) == half);
    if (std::isinf(value))
      continue;
    const auto next = half_to_float(static_cast<std::uint16_t>(half + 1));
    if (std::isfinite(next))
      for (float share : {0.25f, 0.5f, 0.75f})
        check_rounding(value + (next - value) * share, float_to_half(value + (next - value) * share), half_to_float);
  }
  CHECK(std::isinf(half_to_float(float_to_half(65'520.0f))));
  CHECK(half_to_float(float_to_half(65'519.9f)) == 65'504);
  CHECK(float_to_half(1e-10f) == 0);
}

TEST_CASE("bf16 likewise") {
  for (std::uint32_t bits = 0; bits < 0x10000; bits += 7) {
    const auto bfloat = static_cast<std::uint16_t>(bits);
    const auto value = bfloat_to_float(bfloat);
    if (std::isnan(value)) {
      CHECK(std::isnan(bfloat_to_float(float_to_bfloat(value))));
      continue;
    }
    CHECK(float_to_bfloat(value) == bfloat);
    for (std::uint32_t low : {1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      if (const auto between = std::bit_cast<float>(bits << 16 | low); std::isfinite(between))
        check_rounding(between, float_to_bfloat(between), bfloat_to_float);
  }
}

TEST_CASE("q8_0 has a scale of a 127th of the largest, and the nearest of its multiples") {
  std::vector<float> values(64, 0.0f);
  for (int i = 0; i < 32; ++i)
    values[static_cast<std::size_t>(i)] = static_cast<float>(i - 16) * 0.25f;
  const auto data = bytes_of(values);
  const tensor_info matrix{"m", tensor_type::f32, {64, 1, 1, 1}, data};
  const auto converted = convert_matrix(matrix, tensor_type::q8_0);
  REQUIRE(converted.size() == 2 * 34);
  std::uint16_t scale = 0;
  std::memcpy(&scale, converted.data(), 2);
  CHECK(scale == float_to_half(4.0f / 127));
  CHECK(static_cast<std::int8_t>(converted[2]) == -127);
  CHECK(static_cast<std::int8_t>(converted[2 + 16]) == 0);
  CHECK(static_cast<std::int8_t>(converted[2 + 17]) == 8); // 0.25 × 127 / 4 = 7.94
  // A block of zeros has the scale zero.
  for (std::size_t i = 34; i < 68; ++i)
    CHECK(converted[i] == std::byte{0});
}

TEST_CASE("rows that are not whole blocks keep their type") {
  CHECK(converted_type(tensor_type::bf16, 60, weight_format::q8_0) == tensor_type::bf16);
  CHECK(converted_type(tensor_type::bf16, 64, weight_format::q8_0) == tensor_type::q8_0);
  CHECK(converted_type(tensor_type::q4_1, 64, weight_format::as_stored) == tensor_type::q4_1);
  CHECK(converted_type(tensor_type::q4_1, 64, weight_format::bf16) == tensor_type::bf16);
}
