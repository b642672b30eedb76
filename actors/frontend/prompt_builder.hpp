// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "actors/frontend/openai/api_error.hpp"
#include "actors/frontend/openai/completion_request.hpp"
#include "actors/model/served_model.hpp"

namespace troupe {

/// A prompt in tokens, and how many may follow it.
struct prepared_prompt {
  std::vector<token_id> tokens;
  std::uint32_t output_tokens_max = 0;
};

/// Renders, tokenizes, and checks what needs the model: that token ids exist, that prompt and output fit
/// the context. errc::no_chat_template if the model has none, or if it refuses the messages. Takes time in proportion
/// to the prompt: for the text thread.
openai::result<std::vector<prepared_prompt>> prepare_prompts(const served_model&, const openai::completion_request&);

/// Tokens that end the generation of this request.
std::vector<token_id> stop_tokens_of(const served_model&, const openai::completion_request&);

} // namespace troupe
