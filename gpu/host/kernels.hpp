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
//   f32, f16, bf16   one sum per output element, over k ascending: acc = madd(w[k], x[k], acc)
//   bf16 with AMX    of each 32 columns, ascending, for each of the three parts of x (bfloat_parts): two sums, over
//   even
//                    and over odd columns, from 0; acc += one + the other. Numbers below 2^-126 count as zero.
//   quantised        x is rounded to 16 bits per 32 columns (quantised_rows). Of each block of 32 columns (of 16 for
//                    q6_k), ascending: acc = madd(f32(Σ w x of integers), w scale × x scale, acc), then, where the type
//                    has minima, acc = madd(w minimum, f32 of x scale × Σ x, acc). The integer sums are exact, so
//                    instructions of any width give the same.
//   scores           one sum per position, over columns ascending, then times the scale
//   square sum       16 lanes, lane i over elements i, i+16, …; lanes are added i and i+8, +4, +2, +1
//   softmax          maximum; exponentials; their sum by 16 lanes as above, over positions
//   values           over positions ascending: acc = madd(p[j], v[j], acc), then times 1/sum
// madd is fused on every path but portable, where it is a multiplication, then an addition.
namespace troupe::gpu::host {

/// Output rows that one vector holds; the width of every packed matrix and of lane sums.
inline constexpr std::uint32_t lanes = 16;

/// Columns that share a scale of activations.
inline constexpr std::uint32_t quant_columns = 32;

/// Columns of a tile of bf16 weights.
inline constexpr std::uint32_t bfloat_columns = 32;

enum class packed_type : std::uint8_t { f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q4_k, q5_k, q6_k };

constexpr bool is_quantised(packed_type type) { return type >= packed_type::q8_0; }

/// A weight matrix [rows][columns], repacked so that vector lanes run over 16 rows (a group). Inside a
/// group columns ascend; rows beyond the matrix are zero.
///   f32         per column  16 × f32
///   f16         per column  16 × u16
///   bf16        per pair of columns  16 × 2 × u16; zero columns up to a multiple of 32
/// The others per 32 columns, quants being unsigned (q8_0: plus 128, q4_0: plus 8, q5_0: plus 16, q6_k: plus 32):
///   q8_0        16 × f16 scale, 8 × 16 words of bytes
///   q4_0, q4_1  16 × f16 scale, (q4_1: 16 × f16 minimum,) 4 × 16 words of nibbles
///   q5_0, q5_1  the same with 16 words of fifth bits before the nibbles
///   q4_k, q5_k  before every 256 columns 16 × f16 scale of scales, 16 × f16 scale of minima; 16 × u8 scale, 16 × u8
///               minimum, (q5_k: 16 words of fifth bits,) 4 × 16 words of nibbles
///   q6_k        before every 256 columns 16 × f16 scale of scales; 16 × s8 scale of 16 columns, 16 × s8 of the others,
///               2 × 16 words of two high bits, 4 × 16 words of nibbles
/// Words of b bits hold 8 / b quads of columns: a quad's four columns are in a word's bytes 0, 2, 1 and 3, the first
/// quad in the bytes' lowest bits. So a shift and a mask leave a quad's 8-bit factors, or two neighbouring columns'
/// 16-bit factors.
struct packed_view {
  const std::byte* data = nullptr;
  packed_type type{};
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
  std::uint64_t group_bytes = 0;

  std::uint32_t groups() const { return (rows + lanes - 1) / lanes; }
};

enum class epilogue : std::uint8_t { store, add };

/// 32 activations of a token: x[k] ≈ scale × quant[k].
struct activation_block {
  /// Largest magnitude / 32,639; 0 if that is below 2^-100, not a number if an activation is not finite.
  float scale;
  /// scale × Σ quants.
  float sum;
  /// Σ of the first 16 quants, and of the others.
  std::int32_t half_sums[2];
};

/// The most that a rounded activation is: 127 × 256 + 127, so that it can be made of two signed bytes.
inline constexpr std::int32_t activation_quant_max = 32'639;

/// Activations [tokens][columns] rounded to 16 bits. The error of a product is then about 2^-16 of its largest terms,
/// which is why 16 and not 8: logits stay those of the exact weights to about 1e-4.
/// Memory of 15 more rows must follow, which may hold anything: tiles are of 16 rows.
struct quantised_rows {
  std::int16_t* quants = nullptr;     // [tokens][stride]
  activation_block* blocks = nullptr; // [tokens][stride / 32]
  std::size_t stride = 0;             // a multiple of 32
};

/// Activations [tokens][3][stride] as the sums of three bf16, the largest first: x to 2^-24. Those beyond the largest
/// bf16, 3.39e38, are not numbers.
struct bfloat_parts {
  std::uint16_t* parts = nullptr;
  std::size_t stride = 0; // a multiple of 32
};

/// out[t][row] (+)= Σ_k weights[row][k] × x[t][k], for the rows of groups group_begin to group_end - 1.
struct matrix_product {
  packed_view weights;
  const float* x = nullptr; // [tokens][x_stride]
  std::size_t x_stride = 0;
  /// Of x; read instead of it where the weights are quantised.
  quantised_rows quantised;
  /// Of x; read instead of it where the weights are bf16 and the path has a `split_bfloats`.
  bfloat_parts bfloats;
  float* out = nullptr; // [tokens][out_stride], out_stride ≥ 16 × groups
  std::size_t out_stride = 0;
  std::uint32_t tokens = 0;
  std::uint32_t group_begin = 0;
  std::uint32_t group_end = 0;
  epilogue end = epilogue::store;
};

/// Most tokens of one matrix_product call.
inline constexpr std::uint32_t product_tokens_max = 256;

/// Attention of `heads` query heads that share a kv head, of `tokens` consecutive tokens of one sequence. Widths are
/// padded to 16 by zeros. A token's result has the same bits whatever tokens and heads stand beside it.
struct attention {
  const float* query = nullptr; // [width][attention_rows_max], rows being [tokens][heads]
  float* out = nullptr;         // [tokens][heads][width]
  std::uint32_t tokens = 1;     // tokens × heads ≤ attention_rows_max
  std::uint32_t heads = 0;      // 1 … attention_heads_max
  std::uint32_t width = 0;      // a multiple of 16
  /// Of position j, with b = table[j / block_tokens] × block_stride and i = j % block_tokens: column c of its key is
  /// keys[b + c × key_stride + i], that of its value values[b + i × value_stride + c]. Strides in floats.
  const float* keys = nullptr;
  const float* values = nullptr;
  const std::uint32_t* table = nullptr;
  std::uint64_t block_stride = 0;
  /// A multiple of 16, at least block_tokens. Keys of all 16 are read, and what is not a position's ignored.
  std::uint64_t key_stride = 0;
  std::uint64_t value_stride = 0;
  std::uint32_t block_tokens = 0;
  /// Token t attends to positions max(0, positions + t − window) … positions + t − 1, the last being its own. Lanes and
  /// blocks are those of the absolute position. Table entries of blocks that end at or before the first position are
  /// not read.
  std::uint32_t window = 0xffffffff;
  std::uint32_t positions = 0;
  float scale = 0;
  float* scores = nullptr; // scratch: attention_rows_max × (positions + tokens − 1, rounded up to 16)
};

inline constexpr std::uint32_t attention_heads_max = 4;
/// As many as share keys and values in one pass: more would push each other's scores out of L2 in long contexts.
inline constexpr std::uint32_t attention_rows_max = 12;

/// The kernels of one path.
struct kernel_table {
  void (*multiply)(const matrix_product&);
  /// Rounds x[columns] of one token, to nearest even, into row 0 of `out`, in the order that this path's products of
  /// `tokens` tokens read; columns is a multiple of 32. Blocks, and the quants but for their order, are the same bits
  /// on every path.
  void (*quantise)(const float* x, std::uint32_t columns, std::uint32_t tokens, const quantised_rows& out);
  /// Splits x[columns] of one token into row 0 of `out`, zeros up to a multiple of 32 behind; absent on most paths.
  void (*split_bfloats)(const float* x, std::uint32_t columns, const bfloat_parts& out);
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
inline constexpr std::uint32_t kernel_version = 4;

extern const kernel_table portable_kernels;
extern const kernel_table avx2_kernels;
extern const kernel_table avx512_kernels;
extern const kernel_table avx512_vnni_kernels;
extern const kernel_table amx_kernels;

/// Counts multiply calls per path; incremented by the kernels themselves.
extern std::uint64_t multiply_calls[std::size(simd_paths)];

} // namespace troupe::gpu::host
