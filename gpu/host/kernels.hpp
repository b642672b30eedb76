// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "gpu/host/simd_path.hpp"

// The seam between host_model and the per-path compilations of kernels.inl. Plain data only: those
// translation units are compiled for newer CPUs, so an inline function of the standard library in them
// could replace the portable copy at link time.
//
// Arithmetic, the same for every batch size, chunk size and thread count:
//   matrix product   one sum per output element, over k ascending: acc = madd(w[k], x[k], acc)
//   dot, square sum  16 lanes, lane i over elements i, i+16, …; lanes are added i and i+8, +4, +2, +1
//   softmax          maximum; exponentials; their sum by 16 lanes as above, over positions
//   values           over positions ascending: acc = madd(p[j], v[j], acc), then times 1/sum
// madd is fused on avx2 and avx512, multiply then add on portable.
namespace troupe::gpu::host {

/// Output rows that one vector holds; the width of every packed matrix and of lane sums.
inline constexpr std::uint32_t lanes = 16;

enum class packed_type : std::uint8_t { f32, f16, bf16, q8_0, q4_0, q4_1 };

/// A weight matrix [rows][columns], repacked so that vector lanes run over 16 rows (a group). Inside a
/// group columns ascend; rows beyond the matrix are zero.
///   f32         per column  16 × f32
///   f16, bf16   per column  16 × u16
///   q8_0        per 32 columns  16 × f16 scale, then per 4 columns 16 × u32 (one byte each, low first)
///   q4_0        per 32 columns  16 × f16 scale, then per 8 columns 16 × u32 (one nibble each, low first)
///   q4_1        per 32 columns  16 × f16 scale, 16 × f16 minimum, then as q4_0
struct packed_view {
  const std::byte* data = nullptr;
  packed_type type{};
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
  std::uint64_t group_bytes = 0;

  std::uint32_t groups() const { return (rows + lanes - 1) / lanes; }
};

enum class epilogue : std::uint8_t { store, add };

/// out[t][row] (+)= Σ_k weights[row][k] × x[t][k], for the rows of groups group_begin to group_end - 1.
struct matrix_product {
  packed_view weights;
  const float* x = nullptr; // [tokens][x_stride]
  std::size_t x_stride = 0;
  float* out = nullptr; // [tokens][out_stride], out_stride ≥ 16 × groups
  std::size_t out_stride = 0;
  std::uint32_t tokens = 0;
  std::uint32_t group_begin = 0;
  std::uint32_t group_end = 0;
  epilogue end = epilogue::store;
};

/// Most tokens of one matrix_product call.
inline constexpr std::uint32_t product_tokens_max = 256;

/// Attention of `heads` query heads of one token that share a kv head. Widths are padded to 16 by zeros.
struct attention {
  const float* query = nullptr; // [heads][width]
  float* out = nullptr;         // [heads][width]
  std::uint32_t heads = 0;      // 1 … attention_heads_max
  std::uint32_t width = 0;      // a multiple of 16
  /// Keys and values of position j lie at base + table[j / block_tokens] × block_stride
  /// + (j % block_tokens) × token_stride. Strides in floats.
  const float* keys = nullptr;
  const float* values = nullptr;
  const std::uint32_t* table = nullptr;
  std::uint64_t block_stride = 0;
  std::uint64_t token_stride = 0;
  std::uint32_t block_tokens = 0;
  /// Positions begin … positions - 1 are attended to, the token's own being the last; begin < positions. Lanes and
  /// blocks are those of the absolute position. Table entries of blocks that end at or before `begin` are not read.
  std::uint32_t begin = 0;
  std::uint32_t positions = 0;
  float scale = 0;
  float* scores = nullptr;      // [heads][score_stride], scratch
  std::size_t score_stride = 0; // ≥ positions rounded up to 16
};

inline constexpr std::uint32_t attention_heads_max = 4;

/// The kernels of one path.
struct kernel_table {
  void (*multiply)(const matrix_product&);
  void (*attend)(const attention&);
  /// out[i] = x[i] / rms(x) × weight[i] for i below `padded`, which is at least `width`; x is zero from width on. With
  /// padded == width, which need not be a multiple of 16, no element beyond is read or written: a head in a row.
  void (*rms_norm)(const float* x, const float* weight, float* out, std::uint32_t width, std::uint32_t padded,
                   float epsilon);
  /// gate[i] = silu(gate[i]) × up[i]; `padded` is a multiple of 16.
  void (*swiglu)(float* gate, const float* up, std::uint32_t padded);
  /// gate[i] = gelu(gate[i]) × up[i], by the tanh formula; `padded` is a multiple of 16.
  void (*geglu)(float* gate, const float* up, std::uint32_t padded);
};

/// REQUIRES: the CPU supports the path.
const kernel_table& kernels_of(simd_path);

/// Changes whenever the arithmetic of any kernel changes.
inline constexpr std::uint32_t kernel_version = 1;

extern const kernel_table portable_kernels;
extern const kernel_table avx2_kernels;
extern const kernel_table avx512_kernels;

/// Counts multiply calls per path; incremented by the kernels themselves.
extern std::uint64_t multiply_calls[3];

} // namespace troupe::gpu::host
