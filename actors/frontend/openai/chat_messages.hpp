// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "actors/frontend/openai/api_error.hpp"
#include "actors/frontend/openai/json_reader.hpp"

namespace troupe::openai {

/// The `messages` of a chat as a JSON array that templates understand: content given as a list of text
/// parts becomes one string, "developer" becomes "system", as OpenAI defines it. Other members pass as they are.
/// Media parts are refused by name.
result<std::string> read_chat_messages(json messages);

} // namespace troupe::openai
