// SPDX-License-Identifier: Apache-2.0
#include "gpu/model/architecture.hpp"

#include <array>

namespace troupe::gpu {

namespace {

constexpr std::array architectures{
  // Llama 2 and 3, SmolLM2, TinyLlama; GGUF counts Mistral among them.
  architecture{.name = "llama", .model_types = "llama mistral", .gguf_pairs = rope_pairs::adjacent},
  architecture{.name = "smollm3", .model_types = "smollm3", .gguf_pairs = rope_pairs::adjacent},
  architecture{.name = "qwen2", .model_types = "qwen2", .gguf_pairs = rope_pairs::halves},
  architecture{.name = "qwen3", .model_types = "qwen3", .gguf_pairs = rope_pairs::halves, .qk_norms = true},
  architecture{.name = "qwen3moe",
               .model_types = "qwen3_moe",
               .gguf_pairs = rope_pairs::halves,
               .qk_norms = true,
               .experts = true},
  architecture{.name = "gemma3",
               .model_types = "gemma3_text",
               .gguf_pairs = rope_pairs::halves,
               .gate = gate_function::gelu_tanh,
               .qk_norms = true,
               .post_norms = true,
               .norms_less_one = true,
               .scaled_embedding = true},
};

/// Whether `list`, of words separated by spaces, has `word`.
bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const auto end = list.find(' ');
    if (list.substr(0, end) == word)
      return true;
    list = end == std::string_view::npos ? std::string_view{} : list.substr(end + 1);
  }
  return false;
}

} // namespace

const architecture* find_architecture(std::string_view gguf_name) {
  for (const auto& one : architectures)
    if (one.name == gguf_name)
      return &one;
  return nullptr;
}

const architecture* find_architecture_by_model_type(std::string_view model_type) {
  for (const auto& one : architectures)
    if (has_word(one.model_types, model_type))
      return &one;
  return nullptr;
}

std::string known_architectures() {
  std::string result;
  for (const auto& one : architectures)
    result += (result.empty() ? "" : ", ") + std::string{one.name};
  return result;
}

std::string known_model_types() {
  std::string result;
  for (const auto& one : architectures)
    result += (result.empty() ? "" : " ") + std::string{one.model_types};
  for (std::size_t at = 0; (at = result.find(' ', at)) != std::string::npos; at += 2)
    result.replace(at, 1, ", ");
  return result;
}

} // namespace troupe::gpu
