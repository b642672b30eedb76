// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "messages/errc.hpp"
#include "messages/expected.hpp"
#include "text/tokenizer_description.hpp"
#include "text/vocabulary.hpp"

namespace troupe::text {

/// A GGUF file's vocabulary as the pipeline that llama.cpp's tokenizers amount to. Checks everything; an error names
/// the GGUF key that is wrong.
expected<tokenizer_description, error> describe(const vocabulary&);

/// The names that may stand in tokenizer.ggml.pre, for messages.
std::string_view pre_tokenizer_names();

} // namespace troupe::text
