// SPDX-License-Identifier: Apache-2.0
// The table of a path's kernels: the last part of each kernels_<path>.cpp, which has included kernels.inl and said what
// quant_products<Format> is.

void multiply(const matrix_product& a) {
  __atomic_fetch_add(&multiply_calls[path_index], 1, __ATOMIC_RELAXED);
  switch (a.weights.type) {
    case packed_type::f32: return multiply_by<float_products<format_f32>>(a);
    case packed_type::f16: return multiply_by<float_products<format_f16>>(a);
    case packed_type::bf16: return multiply_by<float_products<format_bf16>>(a);
    case packed_type::q8_0: return multiply_by<quant_products<format_q8_0>>(a);
    case packed_type::q4_0: return multiply_by<quant_products<format_q4_0>>(a);
    case packed_type::q4_1: return multiply_by<quant_products<format_q4_1>>(a);
    case packed_type::q5_0: return multiply_by<quant_products<format_q5_0>>(a);
    case packed_type::q5_1: return multiply_by<quant_products<format_q5_1>>(a);
    case packed_type::q4_k: return multiply_by<quant_products<format_q4_k>>(a);
    case packed_type::q5_k: return multiply_by<quant_products<format_q5_k>>(a);
    case packed_type::q6_k: return multiply_by<quant_products<format_q6_k>>(a);
  }
  __builtin_trap(); // a type that somebody forgot here
}

#include "gpu/host/attention.inl"
#include "gpu/host/elementwise.inl"

constexpr kernel_table kernels{&multiply, &quantise, nullptr, &attend, &rms_norm, &swiglu, &geglu};
