// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "messages/ids.hpp"

namespace troupe {

namespace text {
class tokenizer;
class chat_template;
} // namespace text

/// The text side of a model, as the frontend needs it. Immutable and shared by its threads.
struct served_model {
  std::string name;
  std::string file;
  std::uint32_t context_tokens = 0;
  std::shared_ptr<const text::tokenizer> tokenizer;
  vocabulary_id vocabulary;
  /// Null if the model has none: chat is refused with errc::no_chat_template.
  std::shared_ptr<const text::chat_template> chat_template;
  /// Tokens that end a generation.
  std::vector<token_id> stop_tokens;
  /// True for the mock executor: named so in every answer that it makes.
  bool mock = false;
};

} // namespace troupe
