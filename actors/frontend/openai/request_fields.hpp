// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>

#include "actors/frontend/openai/json_reader.hpp"
#include "actors/frontend/openai/request_parser.hpp"

namespace troupe::openai {

/// A completion request under construction, with what can only be judged when all fields are known.
struct draft {
  completion_request request;
  const request_limits* limits = nullptr;
  std::optional<std::uint32_t> max_tokens;
  std::optional<std::uint32_t> max_completion_tokens;
  bool has_messages = false;
  bool has_prompt = false;
  bool has_stream_options = false;
  bool has_top_logprobs = false;
};

using verdict = expected<void, api_error>;

/// A row of the table with its reader. Readers never see null: null means absent, for every field.
struct field_row {
  field_description is;
  verdict (*read)(draft&, const field_description&, json);
};

/// Bound of the table, for sets of rows.
inline constexpr std::size_t field_rows_max = 128;

/// The one place that says what each field does.
std::span<const field_row> field_rows();

} // namespace troupe::openai
