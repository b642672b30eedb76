// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "messages/ids.hpp"
#include "messages/request/sampling_options.hpp"

namespace troupe::openai {

/// /v1/chat/completions or /v1/completions: the same generation, other shapes around it.
enum class api : std::uint8_t { chat = 1, completions = 2 };

using prompt_input = std::variant<std::string, std::vector<token_id>>;

/// A client's request, checked as far as that is possible without the model.
struct completion_request {
  openai::api api = api::chat;
  std::string model;

  /// Chat: the messages as a JSON array of objects; each content is a string.
  std::string messages;
  /// Chat: a JSON object of variables for the template; empty: none.
  std::string template_variables;
  bool add_generation_prompt = true;

  /// Completions: at least one.
  std::vector<prompt_input> prompts;
  /// Completions: put BOS before the prompt, where the vocabulary wants it.
  bool add_special_tokens = true;

  /// As the client set it; absent: the rest of the context, or 16.
  std::optional<std::uint32_t> output_tokens_max;
  sampling_options sampling;
  /// Absent: drawn.
  std::optional<std::uint64_t> seed;
  /// None is empty.
  std::vector<std::string> stops;
  std::vector<token_id> stop_tokens;
  bool ignore_end_of_generation = false;
  bool skip_special_tokens = true;
  std::uint32_t choices = 1;
  std::int32_t priority = 0;

  bool stream = false;
  bool stream_usage = false;
};

/// Bounds that a request is held to. The defaults are the documented caps.
struct request_limits {
  std::uint32_t json_depth = 64;
  std::uint32_t choices_max = 8;
  /// At most sampling_options::logprobs_max.
  std::uint32_t logprobs_max = sampling_options::logprobs_max;
  std::uint32_t prompts_max = 64;
  std::uint32_t stops_max = 16;
  std::uint32_t stop_bytes_max = 256;
  std::uint32_t logit_bias_max = 1024;
};

} // namespace troupe::openai
