// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gpu/model/gguf.hpp"
#include "messages/errc.hpp"
#include "messages/expected.hpp"
#include "text/vocabulary.hpp"

namespace troupe {

/// The tokenizer's part of a model file. What a file may leave out gets the defaults that llama.cpp
/// gives it: SentencePiece has BOS 1, EOS 2 and unknown 0, adds BOS and a space prefix. Errors name the
/// key. text::tokenizer::make checks how the parts fit together.
expected<text::vocabulary, error> vocabulary_from_gguf(const gpu::gguf_file&);

} // namespace troupe
