// SPDX-License-Identifier: Apache-2.0
#include "gpu/host/packed_matrix.hpp"

#include <array>
#include <bit>
#include <cassert>
#include <cstring>

#include "gpu/host/ggml_block.hpp"

namespace troupe::gpu::host {

namespace {

/// Columns of a row that lie together in a matrix that is not quantised, and their bytes.
struct plain_unit {
  std::uint32_t columns;
  std::uint32_t bytes;
};
constexpr plain_unit unit_of(packed_type type) {
  switch (type) {
    case packed_type::f16: return {1, 2};
    case packed_type::bf16: return {2, 4};
    default: return {1, 4};
  }
}

std::uint64_t group_bytes_of(packed_type type, std::uint32_t columns) {
  if (is_quantised(type))
    return layout_of(type).group_bytes(columns);
  const std::uint64_t whole =
    type == packed_type::bf16 ? (columns + bfloat_columns - 1) / bfloat_columns * bfloat_columns : columns;
  const auto unit = unit_of(type);
  return whole / unit.columns * unit.bytes * lanes;
}

/// Column c's place in words that hold `bits` of each: see packed_view.
struct bit_place {
  std::uint32_t word;
  std::uint32_t shift;
};
constexpr bit_place place_of(std::uint32_t column, std::uint32_t bits) {
  constexpr std::array<std::uint32_t, 4> byte_of{0, 2, 1, 3}; // is its own inverse
  const auto quad = column / 4, quads = 8 / bits;
  return {quad / quads, byte_of[column % 4] * 8 + quad % quads * bits};
}

void put_word(std::byte* words, std::uint32_t index, std::uint32_t lane, std::uint32_t word) {
  std::memcpy(words + (index * lanes + lane) * 4, &word, 4);
}

void put_half(std::byte* halves, std::uint32_t index, std::uint32_t lane, std::uint16_t half) {
  std::memcpy(halves + (index * lanes + lane) * 2, &half, 2);
}

/// With the number of bits known the compiler knows every place.
template <std::uint32_t Bits>
void pack_bits_of(const quant_block& block, std::uint32_t from, std::uint32_t lane, std::byte* words) {
  std::array<std::uint32_t, Bits> packed{};
#pragma GCC unroll 32
  for (std::uint32_t c = 0; c < quant_columns; ++c) {
    const auto [word, shift] = place_of(c, Bits);
    packed[word] |= (block.quants[c] >> from & ((1u << Bits) - 1)) << shift;
  }
  for (std::uint32_t i = 0; i < Bits; ++i)
    put_word(words, i, lane, packed[i]);
}

/// The words of bits `from` … `from` + bits − 1 of 32 quants.
void pack_bits(const quant_block& block, std::uint32_t from, std::uint32_t bits, std::uint32_t lane, std::byte* words) {
  switch (bits) {
    case 1: return pack_bits_of<1>(block, from, lane, words);
    case 2: return pack_bits_of<2>(block, from, lane, words);
    case 4: return pack_bits_of<4>(block, from, lane, words);
    case 8: return pack_bits_of<8>(block, from, lane, words);
    default: assert(!"no layout has so many bits");
  }
}

void pack_quantised_row(packed_type type, const std::byte* row, std::uint32_t columns, std::uint32_t lane,
                        std::byte* group) {
  const auto layout = layout_of(type);
  for (std::uint32_t b = 0; b < columns / quant_columns; ++b) {
    if (b % (layout.file_columns / quant_columns) == 0) {
      const auto halves = read_super_halves(type, row, b);
      for (std::uint32_t i = 0; i < layout.super_halves; ++i)
        put_half(group, i, lane, halves[i]);
      group += layout.super_halves * 2 * lanes;
    }
    const auto block = read_block(type, row, b);
    for (std::uint32_t i = 0; i < layout.header_halves; ++i)
      put_half(group, i, lane, block.halves[i]);
    group += layout.header_halves * 2 * lanes;
    for (std::uint32_t i = 0; i < layout.header_bytes; ++i)
      group[i * lanes + lane] = static_cast<std::byte>(block.bytes[i]);
    group += layout.header_bytes * lanes;
    if (layout.high_bits != 0)
      pack_bits(block, layout.low_bits, layout.high_bits, lane, group);
    group += layout.high_bits * 4 * lanes;
    pack_bits(block, 0, layout.low_bits, lane, group);
    group += layout.low_bits * 4 * lanes;
  }
}

template <std::uint32_t Bytes>
void pack_units(const std::byte* row, std::uint64_t bytes, std::uint32_t lane, std::byte* group) {
  group += lane * Bytes;
  for (; bytes >= Bytes; bytes -= Bytes, row += Bytes, group += lanes * Bytes)
    std::memcpy(group, row, Bytes);
  std::memcpy(group, row, bytes);
}

void pack_plain_row(packed_type type, const std::byte* row, std::uint32_t columns, std::uint32_t lane,
                    std::byte* group) {
  const auto unit = unit_of(type);
  const auto bytes = std::uint64_t{columns} * unit.bytes / unit.columns;
  unit.bytes == 2 ? pack_units<2>(row, bytes, lane, group) : pack_units<4>(row, bytes, lane, group);
}

std::uint16_t read_u16(const std::byte* p) {
  std::uint16_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

void unpack_plain_row(const packed_view& matrix, const std::byte* group, std::uint32_t lane, float* out) {
  const auto unit = unit_of(matrix.type);
  for (std::uint32_t k = 0; k < matrix.columns; ++k) {
    const auto* place = group + (std::uint64_t{k} / unit.columns * lanes + lane) * unit.bytes + k % unit.columns * 2;
    if (matrix.type == packed_type::f32)
      std::memcpy(out + k, place, 4);
    else if (matrix.type == packed_type::f16)
      out[k] = half_to_float(read_u16(place));
    else
      out[k] = std::bit_cast<float>(std::uint32_t{read_u16(place)} << 16);
  }
}

float half_in(const std::byte* halves, std::uint32_t index, std::uint32_t lane) {
  return half_to_float(read_u16(halves + (index * lanes + lane) * 2));
}

/// What the quants of one lane of a block are multiplied by, in each half of it, and what is added then.
struct lane_scales {
  std::array<float, 2> scales{};
  float minimum = -0.0f; // changes no sum, not even the sign of zero
};

/// Products of f16 scales by 6 or 8 bits are exact in f32.
lane_scales scales_of(packed_type type, const std::byte* super, const std::byte* header, std::uint32_t lane) {
  switch (type) {
    case packed_type::q4_1:
    case packed_type::q5_1: return {{half_in(header, 0, lane), half_in(header, 0, lane)}, half_in(header, 1, lane)};
    case packed_type::q4_k:
    case packed_type::q5_k: {
      const float scale = half_in(super, 0, lane) * std::to_integer<std::uint8_t>(header[lane]);
      return {{scale, scale}, -(half_in(super, 1, lane) * std::to_integer<std::uint8_t>(header[lanes + lane]))};
    }
    case packed_type::q6_k: {
      const float d = half_in(super, 0, lane);
      return {{d * static_cast<std::int8_t>(header[lane]), d * static_cast<std::int8_t>(header[lanes + lane])}};
    }
    default: return {{half_in(header, 0, lane), half_in(header, 0, lane)}};
  }
}

std::uint32_t quant_bits(const std::byte* words, std::uint32_t column, std::uint32_t bits, std::uint32_t lane) {
  const auto [index, shift] = place_of(column, bits);
  std::uint32_t word;
  std::memcpy(&word, words + (index * lanes + lane) * 4, 4);
  return word >> shift & ((1u << bits) - 1);
}

void unpack_quantised_row(const packed_view& matrix, const std::byte* group, std::uint32_t lane, float* out) {
  const auto layout = layout_of(matrix.type);
  const auto* super = group;
  for (std::uint32_t b = 0; b < matrix.columns / quant_columns; ++b, out += quant_columns) {
    if (b % (layout.file_columns / quant_columns) == 0) {
      super = group;
      group += layout.super_halves * 2 * lanes;
    }
    const auto [scales, minimum] = scales_of(matrix.type, super, group, lane);
    const auto* high = group + (layout.header_halves * 2 + layout.header_bytes) * lanes;
    const auto* low = high + layout.high_bits * 4 * lanes;
    for (std::uint32_t c = 0; c < quant_columns; ++c) {
      auto quant = quant_bits(low, c, layout.low_bits, lane);
      if (layout.high_bits != 0)
        quant |= quant_bits(high, c, layout.high_bits, lane) << layout.low_bits;
      out[c] = scales[c / (quant_columns / 2)] * static_cast<float>(static_cast<int>(quant) - layout.offset) + minimum;
    }
    group += layout.block_bytes();
  }
}

} // namespace

packed_type packed_type_of(tensor_type type) {
  switch (type) {
    case tensor_type::f32: return packed_type::f32;
    case tensor_type::f16: return packed_type::f16;
    case tensor_type::bf16: return packed_type::bf16;
    case tensor_type::q8_0: return packed_type::q8_0;
    case tensor_type::q4_0: return packed_type::q4_0;
    case tensor_type::q4_1: return packed_type::q4_1;
    case tensor_type::q5_0: return packed_type::q5_0;
    case tensor_type::q5_1: return packed_type::q5_1;
    case tensor_type::q4_k: return packed_type::q4_k;
    case tensor_type::q5_k: return packed_type::q5_k;
    case tensor_type::q6_k: return packed_type::q6_k;
  }
  assert(!"a type that find_model_tensors lets pass");
  return packed_type::f32;
}

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000u) << 16;
  if ((half & 0x7c00u) == 0x7c00u) // infinity or not a number
    return std::bit_cast<float>(sign | 0x7f800000u | (half & 0x3ffu) << 13);
  // Moving the exponent by a multiplication also normalises subnormals.
  const float magnitude = std::bit_cast<float>((half & 0x7fffu) << 13) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

std::uint64_t packed_bytes(tensor_type type, std::uint32_t rows, std::uint32_t columns) {
  return std::uint64_t{padded(rows) / lanes} * group_bytes_of(packed_type_of(type), columns);
}

packed_view pack(const tensor_info& tensor, std::byte* out) {
  const auto type = packed_type_of(tensor.type);
  packed_view view{out, type, static_cast<std::uint32_t>(tensor.dims[1]), static_cast<std::uint32_t>(tensor.dims[0]),
                   0};
  view.group_bytes = group_bytes_of(type, view.columns);
  const auto row_bytes = tensor.data.size() / view.rows;
  for (std::uint32_t r = 0; r < view.rows; ++r) {
    const auto* row = tensor.data.data() + r * row_bytes;
    auto* group = out + r / lanes * view.group_bytes;
    if (is_quantised(type))
      pack_quantised_row(type, row, view.columns, r % lanes, group);
    else
      pack_plain_row(type, row, view.columns, r % lanes, group);
  }
  return view;
}

void unpack_row(const packed_view& matrix, std::uint32_t row, float* out) {
  const auto* group = matrix.data + row / lanes * matrix.group_bytes;
  if (is_quantised(matrix.type))
    unpack_quantised_row(matrix, group, row % lanes, out);
  else
    unpack_plain_row(matrix, group, row % lanes, out);
}

} // namespace troupe::gpu::host
