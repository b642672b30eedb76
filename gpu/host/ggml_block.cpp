// SPDX-License-Identifier: Apache-2.0
#include "gpu/host/ggml_block.hpp"

#include <cstring>

namespace troupe::gpu::host {

namespace {

constexpr std::uint32_t half_block = quant_columns / 2;
constexpr std::uint32_t super_columns = 256;

std::uint8_t byte_at(const std::byte* p, std::uint32_t i) { return std::to_integer<std::uint8_t>(p[i]); }

std::uint16_t half_at(const std::byte* p) {
  std::uint16_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

/// Byte i holds columns i and i + 16.
void read_nibbles(const std::byte* p, quant_block& out) {
  for (std::uint32_t i = 0; i < half_block; ++i) {
    out.quants[i] = byte_at(p, i) & 15u;
    out.quants[i + half_block] = byte_at(p, i) >> 4;
  }
}

/// Bit i of a word is the fifth bit of column i.
void read_fifth_bits(const std::byte* p, quant_block& out) {
  std::uint32_t bits;
  std::memcpy(&bits, p, sizeof bits);
  for (std::uint32_t i = 0; i < quant_columns; ++i)
    out.quants[i] |= static_cast<std::uint8_t>((bits >> i & 1u) << 4);
}

/// Scale and minimum k of eight: 6 bits each, the first four of each in the low bits of bytes 0 to 7, the others split
/// between nibbles of bytes 8 to 11 and the high bits of bytes 0 to 7.
void read_six_bit_scales(const std::byte* p, std::uint32_t k, quant_block& out) {
  if (k < 4) {
    out.bytes = {static_cast<std::uint8_t>(byte_at(p, k) & 63u), static_cast<std::uint8_t>(byte_at(p, k + 4) & 63u)};
    return;
  }
  const auto nibbles = byte_at(p, k + 4);
  out.bytes = {static_cast<std::uint8_t>((nibbles & 15u) | byte_at(p, k - 4) >> 6 << 4),
               static_cast<std::uint8_t>(nibbles >> 4 | byte_at(p, k) >> 6 << 4)};
}

/// Byte l of 32 holds column l of an even block in its low nibble, that of the following block in its high one.
void read_paired_nibbles(const std::byte* p, std::uint32_t k, quant_block& out) {
  for (std::uint32_t l = 0; l < quant_columns; ++l)
    out.quants[l] = byte_at(p, k / 2 * quant_columns + l) >> (k % 2 * 4) & 15u;
}

/// ql[128], qh[64], scales[16], d. Of 128 columns, block b has nibble b / 2 of the bytes from 32 × (b % 2) on and bits
/// 2b of qh.
void read_q6_k(const std::byte* p, std::uint32_t k, quant_block& out) {
  const auto* low = p + k / 4 * 64 + k % 2 * 32;
  const auto* high = p + 128 + k / 4 * 32;
  const auto block = k % 4;
  for (std::uint32_t l = 0; l < quant_columns; ++l)
    out.quants[l] = static_cast<std::uint8_t>((byte_at(low, l) >> (block / 2 * 4) & 15u)
                                              | (byte_at(high, l) >> (2 * block) & 3u) << 4);
  out.bytes = {byte_at(p, 192 + 2 * k), byte_at(p, 192 + 2 * k + 1)};
}

} // namespace

quant_layout layout_of(packed_type type) {
  switch (type) {
    case packed_type::q8_0: return {32, 34, 0, 1, 0, 8, 0, 128};
    case packed_type::q4_0: return {32, 18, 0, 1, 0, 4, 0, 8};
    case packed_type::q4_1: return {32, 20, 0, 2, 0, 4, 0, 0};
    case packed_type::q5_0: return {32, 22, 0, 1, 0, 4, 1, 16};
    case packed_type::q5_1: return {32, 24, 0, 2, 0, 4, 1, 0};
    case packed_type::q4_k: return {super_columns, 144, 2, 0, 2, 4, 0, 0};
    case packed_type::q5_k: return {super_columns, 176, 2, 0, 2, 4, 1, 0};
    case packed_type::q6_k: return {super_columns, 210, 1, 0, 2, 4, 2, 32};
    case packed_type::f32:
    case packed_type::f16:
    case packed_type::bf16: break;
  }
  return {};
}

quant_block read_block(packed_type type, const std::byte* row, std::uint32_t index) {
  const auto layout = layout_of(type);
  const auto blocks_each = layout.file_columns / quant_columns;
  const auto* p = row + std::uint64_t{index / blocks_each} * layout.file_bytes;
  const auto k = index % blocks_each;
  quant_block out;
  for (std::uint32_t i = 0; i < layout.header_halves; ++i)
    out.halves[i] = half_at(p + 2 * i);
  const auto* quants = p + 2 * layout.header_halves;
  switch (type) {
    case packed_type::q8_0: // signed in the file
      for (std::uint32_t i = 0; i < quant_columns; ++i)
        out.quants[i] = byte_at(quants, i) ^ 128u;
      break;
    case packed_type::q4_0:
    case packed_type::q4_1: read_nibbles(quants, out); break;
    case packed_type::q5_0:
    case packed_type::q5_1:
      read_nibbles(quants + 4, out);
      read_fifth_bits(quants, out);
      break;
    case packed_type::q4_k: // d, dmin, 12 bytes of scales, quants
      read_six_bit_scales(p + 4, k, out);
      read_paired_nibbles(p + 16, k, out);
      break;
    case packed_type::q5_k: // d, dmin, 12 bytes of scales, fifth bits, quants
      read_six_bit_scales(p + 4, k, out);
      read_paired_nibbles(p + 48, k, out);
      for (std::uint32_t l = 0; l < quant_columns; ++l)
        out.quants[l] |= static_cast<std::uint8_t>((byte_at(p + 16, l) >> k & 1u) << 4);
      break;
    case packed_type::q6_k: read_q6_k(p, k, out); break;
    case packed_type::f32:
    case packed_type::f16:
    case packed_type::bf16: break;
  }
  return out;
}

std::array<std::uint16_t, 2> read_super_halves(packed_type type, const std::byte* row, std::uint32_t index) {
  const auto layout = layout_of(type);
  const auto* p = row + std::uint64_t{index / (layout.file_columns / quant_columns)} * layout.file_bytes;
  switch (layout.super_halves) {
    case 1: return {half_at(p + layout.file_bytes - 2), 0}; // d is a block's last number
    case 2: return {half_at(p), half_at(p + 2)};
    default: return {};
  }
}

} // namespace troupe::gpu::host
