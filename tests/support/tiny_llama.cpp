// SPDX-License-Identifier: Apache-2.0
#include "tests/support/tiny_llama.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "tests/support/splitmix64.hpp"

namespace troupe::test {

namespace {

using gpu::tensor_type;

template <class T>
void append(std::vector<std::byte>& out, T value) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  out.insert(out.end(), bytes, bytes + sizeof value);
}

/// In [-1, 1).
float symmetric(splitmix64& random) {
  return static_cast<float>(static_cast<double>(random.next() >> 40) * 0x1p-23 - 1);
}

/// f16 of a normal positive or negative number whose low mantissa bits do not matter.
std::uint16_t half(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto exponent = static_cast<int>(bits >> 23 & 0xff) - 127 + 15;
  if (exponent <= 0)
    return 0;
  return static_cast<std::uint16_t>((bits >> 16 & 0x8000) | static_cast<std::uint32_t>(exponent) << 10
                                    | (bits >> 13 & 0x3ff));
}

void append_random(std::vector<std::byte>& out, int bytes, splitmix64& random) {
  for (; bytes > 0; --bytes)
    append(out, static_cast<std::uint8_t>(random.next()));
}

void append_block(std::vector<std::byte>& out, tensor_type type, float scale, splitmix64& random) {
  const float wobble = 1 + 0.5f * symmetric(random);
  switch (type) {
    case tensor_type::f32: return append(out, scale * symmetric(random));
    case tensor_type::f16: return append(out, half(scale * symmetric(random)));
    case tensor_type::bf16:
      return append(out, static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(scale * symmetric(random)) >> 16));
    case tensor_type::q8_0: append(out, half(scale * wobble / 127)); return append_random(out, 32, random);
    case tensor_type::q4_0: append(out, half(scale * wobble / 8)); return append_random(out, 16, random);
    case tensor_type::q5_0: append(out, half(scale * wobble / 16)); return append_random(out, 4 + 16, random);
    case tensor_type::q4_1:
    case tensor_type::q5_1: {
      const bool wide = type == tensor_type::q5_1;
      append(out, half(scale * wobble / (wide ? 16 : 8)));
      append(out, half(-scale * wobble));
      return append_random(out, wide ? 4 + 16 : 16, random);
    }
    case tensor_type::q4_k:
    case tensor_type::q5_k: {
      const bool wide = type == tensor_type::q5_k;
      append(out, half(scale * wobble / (63 * (wide ? 16 : 8)))); // scales and minima are 6-bit numbers
      append(out, half(scale * wobble / 63));
      return append_random(out, 12 + (wide ? 32 : 0) + 128, random);
    }
    case tensor_type::q6_k:
      append_random(out, 128 + 64 + 16, random);
      return append(out, half(scale * wobble / (128 * 32)));
  }
}

} // namespace

std::vector<std::byte> random_matrix(tensor_type type, std::uint64_t rows, std::uint64_t columns, std::uint64_t seed) {
  splitmix64 random{seed};
  std::vector<std::byte> out;
  const auto blocks = rows * columns / gpu::packing_of(type).elements;
  out.reserve(blocks * gpu::packing_of(type).bytes);
  for (std::uint64_t i = 0; i < blocks; ++i)
    append_block(out, type, 2.0f / std::sqrt(static_cast<float>(columns)), random);
  return out;
}

std::vector<std::byte> tiny_llama::write(const spoiler& spoil) const {
  gguf_writer file;
  file.add_string("general.architecture", "llama");
  file.add_uint32("llama.context_length", context_tokens);
  file.add_uint32("llama.embedding_length", width);
  file.add_uint32("llama.block_count", layers);
  file.add_uint32("llama.feed_forward_length", hidden);
  file.add_uint32("llama.attention.head_count", heads);
  file.add_uint32("llama.attention.head_count_kv", kv_heads);
  file.add_uint32("llama.attention.key_length", head_width);
  file.add_uint32("llama.attention.value_length", head_width);
  file.add_float("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  file.add_float("llama.rope.freq_base", 10'000.0f);
  std::uint64_t seed = 0;
  const auto add = [&](tensor t) {
    if (spoil)
      spoil(t);
    if (!t.name.empty())
      file.add_tensor(t.name, t.type, t.dims, t.data);
  };
  const auto matrix = [&](const std::string& name, tensor_type type, std::uint64_t rows, std::uint64_t columns) {
    add({name, type, {columns, rows}, random_matrix(type, rows, columns, ++seed)});
  };
  const auto norm = [&](const std::string& name) {
    splitmix64 random{++seed};
    tensor t{name, tensor_type::f32, {width}, {}};
    for (std::uint32_t i = 0; i < width; ++i)
      append(t.data, 1 + 0.25f * symmetric(random));
    add(std::move(t));
  };
  matrix("token_embd.weight", embedding_type, vocabulary, width);
  for (std::uint32_t i = 0; i < layers; ++i) {
    const auto prefix = "blk." + std::to_string(i) + ".";
    norm(prefix + "attn_norm.weight");
    matrix(prefix + "attn_q.weight", attention_type, heads * head_width, width);
    matrix(prefix + "attn_k.weight", attention_type, kv_heads * head_width, width);
    matrix(prefix + "attn_v.weight", attention_type, kv_heads * head_width, width);
    matrix(prefix + "attn_output.weight", attention_type, width, heads * head_width);
    norm(prefix + "ffn_norm.weight");
    matrix(prefix + "ffn_gate.weight", ffn_type, hidden, width);
    matrix(prefix + "ffn_up.weight", ffn_type, hidden, width);
    matrix(prefix + "ffn_down.weight", ffn_type, width, hidden);
  }
  norm("output_norm.weight");
  if (!tied_head)
    matrix("output.weight", embedding_type, vocabulary, width);
  if (more)
    more(file);
  return file.finish();
}

} // namespace troupe::test
