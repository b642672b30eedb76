// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "actors/frontend/openai/api_error.hpp"
#include "actors/frontend/openai/completion_request.hpp"

namespace troupe::openai {

/// What happens to a request field.
enum class field_use : std::uint8_t {
  /// It does what OpenAI's (or vLLM's) documentation says.
  honoured,
  /// Null, empty and default values are accepted; anything else asks for what is not offered: 400.
  refused,
  /// Accepted and without effect: it changes nothing that a client can see.
  harmless,
};

/// Row of the table of request fields. Everything that is not in it is refused by name.
struct field_description {
  std::string_view name;
  field_use use;
  bool in_chat;
  bool in_completions;
  /// Range and remarks, for the documentation.
  std::string_view note;
};

std::vector<field_description> request_fields();

/// {"prompt" or "text", "add_special_tokens"}
struct tokenize_request {
  std::string model;
  std::string text;
  bool add_special_tokens = true;
};

struct detokenize_request {
  std::string model;
  std::vector<token_id> tokens;
};

/// Reads request bodies. Keeps its buffers between requests, so it belongs to one thread.
class request_parser {
public:
  explicit request_parser(request_limits);
  ~request_parser();

  /// The first fault is reported with the name of its field, its value and the bound.
  result<completion_request> parse_completion(api, std::string_view body);
  result<tokenize_request> parse_tokenize(std::string_view body);
  result<detokenize_request> parse_detokenize(std::string_view body);

private:
  struct buffers;
  request_limits limits_;
  std::unique_ptr<buffers> buffers_;
};

} // namespace troupe::openai
