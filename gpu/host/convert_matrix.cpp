// SPDX-License-Identifier: Apache-2.0
#include "gpu/host/convert_matrix.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "gpu/host/packed_matrix.hpp"
#include "gpu/model/model_tensors.hpp"

namespace troupe::gpu::host {

namespace {

constexpr std::uint32_t q8_columns = 32;

template <class T>
std::byte* append(std::byte* out, T value) {
  std::memcpy(out, &value, sizeof value);
  return out + sizeof value;
}

/// To the nearest, halves away from zero, as std::round does; in a form that a compiler turns into vectors. What is not
/// a number becomes -128.
std::int32_t round_to_byte(float value) {
  value = value > -128.0f ? value : -128.0f;
  value = value < 127.0f ? value : 127.0f;
  const auto whole = static_cast<std::int32_t>(value);
  const float rest = value - static_cast<float>(whole); // exact
  return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

std::byte* append_q8_0(std::byte* out, const float* in) {
  float largest = 0;
  for (std::uint32_t i = 0; i < q8_columns; ++i)
    largest = std::max(largest, std::abs(in[i]));
  const float scale = largest / 127;
  const float inverse = scale != 0 ? 1 / scale : 0;
  out = append(out, float_to_half(scale));
  std::array<std::int8_t, q8_columns> quants;
  for (std::uint32_t i = 0; i < q8_columns; ++i)
    quants[i] = static_cast<std::int8_t>(round_to_byte(in[i] * inverse));
  std::memcpy(out, quants.data(), quants.size());
  return out + quants.size();
}

/// The values of one row of a type that is not quantised.
void widen_row(tensor_type type, const std::byte* in, std::span<float> out) {
  if (type == tensor_type::f32) {
    std::memcpy(out.data(), in, out.size_bytes());
    return;
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, in + i * sizeof bits, sizeof bits);
    out[i] = type == tensor_type::bf16 ? std::bit_cast<float>(std::uint32_t{bits} << 16) : half_to_float(bits);
  }
}

std::byte* append_row(std::byte* out, std::span<const float> row, tensor_type to) {
  if (to == tensor_type::q8_0) {
    for (std::size_t i = 0; i < row.size(); i += q8_columns)
      out = append_q8_0(out, row.data() + i);
    return out;
  }
  for (const float value : row)
    out = to == tensor_type::f32 ? append(out, value) : append(out, float_to_bfloat(value));
  return out;
}

} // namespace

std::optional<weight_format> weight_format_from_string(std::string_view word) {
  if (word == "auto")
    return weight_format::as_stored;
  if (word == "f32")
    return weight_format::f32;
  if (word == "bf16")
    return weight_format::bf16;
  if (word == "q8_0")
    return weight_format::q8_0;
  return std::nullopt;
}

tensor_type converted_type(tensor_type stored, std::uint64_t columns, weight_format format) {
  switch (format) {
    case weight_format::as_stored: return stored;
    case weight_format::f32: return tensor_type::f32;
    case weight_format::bf16: return tensor_type::bf16;
    case weight_format::q8_0: return columns % q8_columns == 0 ? tensor_type::q8_0 : stored;
  }
  return stored;
}

std::vector<std::byte> convert_matrix(const tensor_info& matrix, tensor_type to) {
  const auto rows = static_cast<std::uint32_t>(matrix.dims[1]);
  const auto columns = static_cast<std::uint32_t>(matrix.dims[0]);
  std::vector<std::byte> result(row_bytes(to, columns) * rows);
  std::vector<float> row(columns);
  auto* out = result.data();
  if (!is_quantised(packed_type_of(matrix.type))) {
    const auto bytes = row_bytes(matrix.type, columns);
    for (std::uint32_t r = 0; r < rows; ++r) {
      widen_row(matrix.type, matrix.data.data() + r * bytes, row);
      out = append_row(out, row, to);
    }
    return result;
  }
  // The packed form knows how to read every type.
  std::vector<std::byte> packed(packed_bytes(matrix.type, rows, columns));
  const auto view = pack(matrix, packed.data());
  for (std::uint32_t r = 0; r < rows; ++r) {
    unpack_row(view, r, row.data());
    out = append_row(out, row, to);
  }
  return result;
}

std::vector<float> to_floats(const tensor_info& vector) {
  std::vector<float> result(vector.dims[0]);
  widen_row(vector.type, vector.data.data(), result);
  return result;
}

std::uint16_t float_to_bfloat(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) // not a number: keep it one
    return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

std::uint16_t float_to_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  const auto magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return static_cast<std::uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) // 65520 and more round to infinity
    return static_cast<std::uint16_t>(sign | 0x7c00u);
  if (magnitude
      < 0x38800000u) { // subnormal: adding half a unit of 2^-24 at 0.5 leaves the rounded count in the mantissa
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u));
  }
  const auto rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
  return static_cast<std::uint16_t>(sign | (rounded - 0x38000000u) >> 13);
}

} // namespace troupe::gpu::host
