// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "text/vocabulary.hpp"

// Vocabularies as others write them, for tests alone: models are served from GGUF.
namespace troupe::test {

/// What `xz -dc` makes of a file; nothing if the file or the program is missing.
std::optional<std::string> read_xz(const std::filesystem::path&);

/// A byte-level vocabulary in Hugging Face's tokenizer.json. The pre-tokenizer has to be named, since the
/// file gives only its pattern. Throws on a malformed file.
text::vocabulary parse_hf_byte_level(std::string_view json, std::string pre_tokenizer);

/// Llama 2's SentencePiece vocabulary in tokenizer.json, which has merges in place of scores. Throws on
/// a malformed file.
text::vocabulary parse_hf_llama2(std::string_view json);

} // namespace troupe::test
