// SPDX-License-Identifier: Apache-2.0
#include "gpu/model/gguf.hpp"

namespace troupe::gpu {

namespace {

// GGML's names for its type numbers. Those that it has retired are absent.
std::string_view ggml_name(std::uint32_t number) {
  switch (number) {
    case 0: return "F32";
    case 1: return "F16";
    case 2: return "Q4_0";
    case 3: return "Q4_1";
    case 6: return "Q5_0";
    case 7: return "Q5_1";
    case 8: return "Q8_0";
    case 9: return "Q8_1";
    case 10: return "Q2_K";
    case 11: return "Q3_K";
    case 12: return "Q4_K";
    case 13: return "Q5_K";
    case 14: return "Q6_K";
    case 15: return "Q8_K";
    case 16: return "IQ2_XXS";
    case 17: return "IQ2_XS";
    case 18: return "IQ3_XXS";
    case 19: return "IQ1_S";
    case 20: return "IQ4_NL";
    case 21: return "IQ3_S";
    case 22: return "IQ2_S";
    case 23: return "IQ4_XS";
    case 24: return "I8";
    case 25: return "I16";
    case 26: return "I32";
    case 27: return "I64";
    case 28: return "F64";
    case 29: return "IQ1_M";
    case 30: return "BF16";
    case 34: return "TQ1_0";
    case 35: return "TQ2_0";
    case 39: return "MXFP4";
    default: return {};
  }
}

} // namespace

std::string to_string(tensor_type type) {
  auto number = static_cast<std::uint32_t>(type);
  auto name = ggml_name(number);
  if (packing_of(type).bytes != 0)
    return std::string{name};
  auto result = "type " + std::to_string(number);
  if (!name.empty())
    result.append(" (").append(name).append(")");
  return result;
}

packing packing_of(tensor_type type) {
  // The enumeration holds raw numbers of files too, so falling out of the switch is normal.
  switch (type) {
    case tensor_type::f32: return {1, 4};
    case tensor_type::f16: return {1, 2};
    case tensor_type::bf16: return {1, 2};
    case tensor_type::q4_0: return {32, 2 + 16};         // f16 scale, 32 nibbles
    case tensor_type::q4_1: return {32, 2 + 2 + 16};     // f16 scale, f16 minimum, 32 nibbles
    case tensor_type::q5_0: return {32, 2 + 4 + 16};     // f16 scale, 32 high bits, 32 nibbles
    case tensor_type::q5_1: return {32, 2 + 2 + 4 + 16}; // f16 scale, f16 minimum, 32 high bits, 32 nibbles
    case tensor_type::q8_0:
      return {32, 2 + 32}; // f16 scale, 32 bytes
    // f16 scales of scales and of minima, 8 of each of 6 bits, (high bits,) nibbles
    case tensor_type::q4_k: return {256, 2 + 2 + 12 + 128};
    case tensor_type::q5_k: return {256, 2 + 2 + 12 + 32 + 128};
    case tensor_type::q6_k:
      return {256, 128 + 64 + 16 + 2}; // nibbles, pairs of high bits, 16 scales, f16 scale of them
  }
  return {};
}

} // namespace troupe::gpu
