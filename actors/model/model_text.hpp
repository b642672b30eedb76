// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "messages/errc.hpp"
#include "messages/expected.hpp"
#include "messages/ids.hpp"

namespace troupe {

namespace gpu {
class gguf_file;
} // namespace gpu
namespace text {
class tokenizer;
} // namespace text

/// The text side of a model's files.
struct model_text {
  std::shared_ptr<const text::tokenizer> tokenizer;
  /// Of all tokens in their order, and of which are special; equal for the same vocabulary in another format.
  vocabulary_id vocabulary;
  /// Jinja; empty if there is none.
  std::string chat_template;
  /// Where it comes from, for messages.
  std::string chat_template_place;
};

/// Of a GGUF file that is open; else as open_model_text.
expected<model_text, error> read_model_text(const gpu::gguf_file&, std::uint32_t vocabulary);

/// Reads a GGUF file (one with a vocabulary alone, too), a directory of transformers', or a tokenizer.json with what
/// stands beside it. The tokenizer has exactly `vocabulary` tokens, if that is not 0: models have rows for tokens that
/// their tokenizer lacks, and tokenizers have tokens that their model lacks. errc::resource with a sentence that names
/// the file and what is wrong.
expected<model_text, error> open_model_text(const std::filesystem::path&, std::uint32_t vocabulary = 0);

/// Whether a path looks like what open_model_text takes, and not like a template by itself.
bool is_model(const std::filesystem::path&);

} // namespace troupe
