// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "actors/frontend/openai/api_error.hpp"
#include "actors/frontend/openai/completion_request.hpp"
#include "actors/model/served_model.hpp"

namespace troupe {

/// What a chat template is given, as JSON.
struct chat_input {
  std::string messages;
  /// An object, or empty.
  std::string variables;
  bool add_generation_prompt = true;
};

/// The model's template applied. errc::no_chat_template if there is none, or if it refuses.
using chat_renderer = std::function<expected<std::string, error>(const served_model&, const chat_input&)>;

/// A prompt in tokens, and how many may follow it.
struct prepared_prompt {
  std::vector<token_id> tokens;
  std::uint32_t output_tokens_max = 0;
};

/// Renders, tokenizes, and checks what needs the model: that token ids exist, that prompt and output fit
/// the context. Takes time in proportion to the prompt: for the text thread.
openai::result<std::vector<prepared_prompt>> prepare_prompts(const served_model&, const openai::completion_request&,
                                                             const chat_renderer&);

/// Tokens that end the generation of this request.
std::vector<token_id> stop_tokens_of(const served_model&, const openai::completion_request&);

} // namespace troupe
