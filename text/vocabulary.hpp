// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "messages/ids.hpp"

namespace troupe::text {

enum class vocabulary_kind : std::uint8_t {
  /// GPT-2's: tokens are written in the byte alphabet, merges have ranks.
  byte_level_bpe,
  /// Llama-2's: tokens have scores, a space is U+2581, unknown characters fall back to byte tokens.
  sentencepiece_bpe,
};

/// What a token stands for, with GGUF's numbers.
enum class token_type : std::uint8_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

/// Everything a tokenizer is made of, as a model file states it and not yet checked: make() of
/// text::tokenizer checks. Field comments name the GGUF key, which errors name as well.
struct vocabulary {
  vocabulary_kind kind{};
  /// tokenizer.ggml.pre; only byte-level BPE has one.
  std::string pre_tokenizer;
  /// tokenizer.ggml.tokens, indexed by token id.
  std::vector<std::string> tokens;
  /// tokenizer.ggml.scores, one per token; SentencePiece only, where the higher score merges first.
  std::vector<float> scores;
  /// tokenizer.ggml.token_type, one per token; empty: all are normal.
  std::vector<token_type> types;
  /// tokenizer.ggml.merges, "left right", best first; byte-level BPE only.
  std::vector<std::string> merges;
  /// tokenizer.ggml.{bos,eos,unknown,eot,padding}_token_id
  std::optional<token_id> bos;
  std::optional<token_id> eos;
  std::optional<token_id> unk;
  std::optional<token_id> eot;
  std::optional<token_id> pad;
  /// tokenizer.ggml.{add_bos_token,add_eos_token,add_space_prefix}
  bool add_bos = false;
  bool add_eos = false;
  bool add_space_prefix = false;
};

} // namespace troupe::text
