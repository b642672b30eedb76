// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "messages/errc.hpp"
#include "messages/expected.hpp"
#include "text/tokenizer_description.hpp"

namespace troupe::text {

/// Reads Hugging Face's tokenizer.json. A component that is not supported is refused with its JSON path and type.
/// `truncation` and `padding` are ignored: a prompt is refused or served whole, and never padded.
///
/// Special tokens are never made from text that is not parsed for them, even where the model's vocabulary has them.
expected<tokenizer_description, error> read_tokenizer_json(std::string_view json);

} // namespace troupe::text
