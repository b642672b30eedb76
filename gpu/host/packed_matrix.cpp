// SPDX-License-Identifier: Apache-2.0
#include "gpu/host/packed_matrix.hpp"

#include <bit>
#include <cassert>
#include <cstring>

namespace troupe::gpu::host {

namespace {

constexpr std::uint32_t quant_columns = 32;
constexpr std::uint32_t nibble_word_columns = 8;
constexpr std::uint32_t byte_word_columns = 4;

/// Where things lie in a block of 32 columns of 16 packed rows, and of one row in GGUF.
struct quant_layout {
  std::uint32_t file_bytes;   // of a block of one row
  std::uint32_t header_bytes; // before the quants: file; times 16: packed
  std::uint32_t word_columns;
  std::uint32_t block_bytes() const { return header_bytes * lanes + quant_columns / word_columns * lanes * 4; }
};

quant_layout layout_of(packed_type type) {
  switch (type) {
    case packed_type::q8_0: return {34, 2, byte_word_columns};
    case packed_type::q4_0: return {18, 2, nibble_word_columns};
    case packed_type::q4_1: return {20, 4, nibble_word_columns};
    case packed_type::f32:
    case packed_type::f16:
    case packed_type::bf16: break;
  }
  return {};
}

std::uint32_t element_bytes(packed_type type) { return type == packed_type::f32 ? 4 : 2; }

bool is_quantised(packed_type type) {
  return type == packed_type::q8_0 || type == packed_type::q4_0 || type == packed_type::q4_1;
}

std::uint64_t group_bytes_of(packed_type type, std::uint32_t columns) {
  if (!is_quantised(type))
    return std::uint64_t{columns} * lanes * element_bytes(type);
  return std::uint64_t{columns} / quant_columns * layout_of(type).block_bytes();
}

/// Word `index` of a GGUF block's quants, with ascending columns in ascending bits. GGUF's nibbles
/// instead hold columns i and i + 16 in byte i.
std::uint32_t quant_word(const std::byte* quants, const quant_layout& layout, std::uint32_t index) {
  std::uint32_t word = 0;
  if (layout.word_columns == byte_word_columns) {
    std::memcpy(&word, quants + index * 4, 4);
    return word;
  }
  const auto* bytes = quants + index % 2 * nibble_word_columns;
  const std::uint32_t shift = index / 2 * 4;
  for (std::uint32_t j = 0; j < nibble_word_columns; ++j)
    word |= (std::to_integer<std::uint32_t>(bytes[j]) >> shift & 15u) << (4 * j);
  return word;
}

void pack_quantised_row(const std::byte* row, std::uint32_t blocks, std::uint32_t lane, const quant_layout& layout,
                        std::byte* group) {
  for (std::uint32_t b = 0; b < blocks; ++b, row += layout.file_bytes, group += layout.block_bytes()) {
    for (std::uint32_t h = 0; h < layout.header_bytes / 2; ++h)
      std::memcpy(group + (h * lanes + lane) * 2, row + h * 2, 2);
    auto* words = group + layout.header_bytes * lanes;
    for (std::uint32_t i = 0; i < quant_columns / layout.word_columns; ++i) {
      const auto word = quant_word(row + layout.header_bytes, layout, i);
      std::memcpy(words + (i * lanes + lane) * 4, &word, 4);
    }
  }
}

void pack_plain_row(const std::byte* row, std::uint32_t columns, std::uint32_t lane, std::uint32_t bytes,
                    std::byte* group) {
  for (std::uint32_t k = 0; k < columns; ++k)
    std::memcpy(group + (std::uint64_t{k} * lanes + lane) * bytes, row + std::uint64_t{k} * bytes, bytes);
}

std::uint16_t read_u16(const std::byte* p) {
  std::uint16_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

void unpack_plain_row(const packed_view& matrix, const std::byte* group, std::uint32_t lane, float* out) {
  for (std::uint32_t k = 0; k < matrix.columns; ++k) {
    const auto at = std::uint64_t{k} * lanes + lane;
    if (matrix.type == packed_type::f32)
      std::memcpy(out + k, group + at * 4, 4);
    else if (matrix.type == packed_type::f16)
      out[k] = half_to_float(read_u16(group + at * 2));
    else
      out[k] = std::bit_cast<float>(std::uint32_t{read_u16(group + at * 2)} << 16);
  }
}

void unpack_quantised_row(const packed_view& matrix, const std::byte* group, std::uint32_t lane, float* out) {
  const auto layout = layout_of(matrix.type);
  for (std::uint32_t k = 0; k < matrix.columns; ++k) {
    const auto* block = group + std::uint64_t{k} / quant_columns * layout.block_bytes();
    const auto column = k % quant_columns;
    std::uint32_t word;
    std::memcpy(&word, block + layout.header_bytes * lanes + (column / layout.word_columns * lanes + lane) * 4, 4);
    const auto bits = 32 / layout.word_columns;
    const auto quant = word >> (bits * (column % layout.word_columns)) & ((1u << bits) - 1);
    const float scale = half_to_float(read_u16(block + lane * 2));
    if (matrix.type == packed_type::q8_0)
      out[k] = scale * static_cast<float>(static_cast<std::int8_t>(quant));
    else if (matrix.type == packed_type::q4_0)
      out[k] = scale * static_cast<float>(static_cast<int>(quant) - 8);
    else
      out[k] = scale * static_cast<float>(quant) + half_to_float(read_u16(block + (lanes + lane) * 2));
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
      pack_quantised_row(row, view.columns / quant_columns, r % lanes, layout_of(type), group);
    else
      pack_plain_row(row, view.columns, r % lanes, element_bytes(type), group);
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
