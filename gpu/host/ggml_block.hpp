// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "gpu/host/kernels.hpp"

namespace troupe::gpu::host {

/// How a quantised type lies in a file and in a packed group. A file block holds `file_columns` columns of one row.
/// Both forms hold the same numbers: see packed_view for the packed one.
struct quant_layout {
  std::uint32_t file_columns = 0;
  std::uint32_t file_bytes = 0;
  /// f16 scales of a file block, per lane: d, or d and dmin; 0 where every 32 columns have their own.
  std::uint32_t super_halves = 0;
  /// Of 32 columns, per lane: f16 numbers, or single bytes.
  std::uint32_t header_halves = 0;
  std::uint32_t header_bytes = 0;
  /// Bits of a quant that lie in the words, and in the plane before them.
  std::uint32_t low_bits = 0;
  std::uint32_t high_bits = 0;
  /// Subtracted from a quant.
  int offset = 0;

  /// Packed bytes of 32 columns of 16 rows, and of `columns`, with the scales of whole file blocks.
  std::uint32_t block_bytes() const { return lanes * (2 * header_halves + header_bytes + 4 * (low_bits + high_bits)); }
  std::uint64_t group_bytes(std::uint32_t columns) const {
    return std::uint64_t{columns} / quant_columns * block_bytes()
           + std::uint64_t{columns} / file_columns * super_halves * 2 * lanes;
  }
};

/// All zeros for a type that is not quantised.
quant_layout layout_of(packed_type);

/// 32 columns of one row, out of GGML's layout.
struct quant_block {
  /// 0 … 2^bits − 1, columns ascending.
  std::array<std::uint8_t, quant_columns> quants{};
  /// As many as the layout says.
  std::array<std::uint16_t, 2> halves{};
  std::array<std::uint8_t, 2> bytes{};
};

/// Block `index` (of 32 columns) of a row in a file.
quant_block read_block(packed_type, const std::byte* row, std::uint32_t index);

/// The f16 scales of the file block that holds block `index`: d, dmin.
std::array<std::uint16_t, 2> read_super_halves(packed_type, const std::byte* row, std::uint32_t index);

} // namespace troupe::gpu::host
