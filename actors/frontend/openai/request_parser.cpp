// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/openai/request_parser.hpp"

#include <bitset>
#include <cstring>
#include <unordered_map>

#include <fmt/format.h>

#include "actors/frontend/openai/json_reader.hpp"
#include "actors/frontend/openai/request_fields.hpp"

namespace troupe::openai {

using simdjson::dom::element_type;

struct request_parser::buffers {
  simdjson::dom::parser parser;
  bool depth_is_set = false;

  /// The root object. The result refers to this object's memory until the next call.
  result<simdjson::dom::object> parse_object(std::string_view body, std::uint32_t depth_max);
};

result<simdjson::dom::object> request_parser::buffers::parse_object(std::string_view body, std::uint32_t depth_max) {
  if (!depth_is_set && parser.allocate(simdjson::dom::MINIMAL_DOCUMENT_CAPACITY, depth_max) != simdjson::SUCCESS)
    return unexpected{api_error{errc::resource, "no memory for the request", {}}};
  depth_is_set = true;
  const auto parsed = parser.parse(body.data(), body.size()); // copies, to add the padding that it reads beyond
  if (parsed.error() == simdjson::DEPTH_ERROR)
    return refuse({}, fmt::format("the body is nested more than {} levels deep", depth_max));
  if (parsed.error() != simdjson::SUCCESS)
    return refuse({}, fmt::format("the body is not valid JSON: {}", simdjson::error_message(parsed.error())));
  simdjson::dom::object root;
  if (parsed.get(root))
    return refuse({}, "the body must be a JSON object");
  return root;
}

namespace {

/// Name to index in field_rows(). Made once.
const std::unordered_map<std::string_view, std::size_t>& row_index() {
  static const auto index = [] {
    std::unordered_map<std::string_view, std::size_t> out;
    for (std::size_t i = 0; i < field_rows().size(); ++i)
      out.emplace(field_rows()[i].is.name, i);
    return out;
  }();
  return index;
}

verdict read_field(draft& d, std::string_view name, json value, std::bitset<field_rows_max>& seen) {
  const auto found = row_index().find(name);
  const bool known = found != row_index().end();
  const auto shown = std::string{name.substr(0, 64)};
  if (known && seen[found->second])
    return refuse(shown, fmt::format("'{}' is given twice", shown));
  if (known)
    seen.set(found->second);
  if (value.is_null())
    return {};
  const bool applies = known
                       && (d.request.api == api::chat ? field_rows()[found->second].is.in_chat
                                                      : field_rows()[found->second].is.in_completions);
  if (!applies)
    return refuse(shown, fmt::format("unrecognized request argument: '{}'", shown));
  const auto& row = field_rows()[found->second];
  return row.read(d, row.is, value);
}

/// What depends on several fields.
result<completion_request> judge(draft d) {
  auto& r = d.request;
  if (r.model.empty())
    return refuse("model", "'model' is required");
  if (r.api == api::chat && !d.has_messages)
    return refuse("messages", "'messages' is required");
  if (r.api == api::completions && !d.has_prompt)
    return refuse("prompt", "'prompt' is required");
  if (d.max_tokens && d.max_completion_tokens && *d.max_tokens != *d.max_completion_tokens)
    return refuse("max_tokens", "'max_tokens' and 'max_completion_tokens' say different things; give one");
  if (d.has_stream_options && !r.stream)
    return refuse("stream_options", "the 'stream_options' parameter is only allowed when 'stream' is enabled");
  if (d.has_top_logprobs && r.sampling.top_logprobs > 0 && !r.sampling.logprobs)
    return refuse("top_logprobs", "'top_logprobs' needs 'logprobs' to be true");
  r.output_tokens_max = d.max_completion_tokens ? d.max_completion_tokens : d.max_tokens;
  return std::move(r);
}

} // namespace

request_parser::request_parser(request_limits limits) : limits_(limits), buffers_(std::make_unique<buffers>()) {}

request_parser::~request_parser() = default;

result<completion_request> request_parser::parse_completion(api which, std::string_view body) {
  auto root = buffers_->parse_object(body, limits_.json_depth);
  if (!root)
    return unexpected{root.error()};
  draft d;
  d.limits = &limits_;
  d.request.api = which;
  std::bitset<field_rows_max> seen;
  for (auto member : *root)
    if (auto ok = read_field(d, member.key, member.value, seen); !ok)
      return unexpected{ok.error()};
  return judge(std::move(d));
}

result<tokenize_request> request_parser::parse_tokenize(std::string_view body) {
  auto root = buffers_->parse_object(body, limits_.json_depth);
  if (!root)
    return unexpected{root.error()};
  tokenize_request out;
  bool has_text = false;
  for (auto [key, value] : *root) {
    verdict ok;
    if (value.is_null())
      continue;
    if (key == "prompt" || key == "text") {
      has_text = true;
      auto text = read_string(key, value);
      ok = text ? verdict{} : verdict{unexpected{text.error()}};
      out.text = text ? std::move(*text) : std::string{};
    } else if (key == "model") {
      auto model = read_string(key, value);
      ok = model ? verdict{} : verdict{unexpected{model.error()}};
      out.model = model ? std::move(*model) : std::string{};
    } else if (key == "add_special_tokens") {
      auto add = read_bool(key, value);
      ok = add ? verdict{} : verdict{unexpected{add.error()}};
      out.add_special_tokens = add && *add;
    } else if (!is_nothing(value)) {
      ok =
        refuse(std::string{key.substr(0, 64)}, fmt::format("unrecognized request argument: '{}'", key.substr(0, 64)));
    }
    if (!ok)
      return unexpected{ok.error()};
  }
  if (!has_text)
    return refuse("prompt", "'prompt' is required");
  return out;
}

result<detokenize_request> request_parser::parse_detokenize(std::string_view body) {
  auto root = buffers_->parse_object(body, limits_.json_depth);
  if (!root)
    return unexpected{root.error()};
  detokenize_request out;
  bool has_tokens = false;
  for (auto [key, value] : *root) {
    if (value.is_null())
      continue;
    if (key == "tokens") {
      has_tokens = true;
      auto ids = read_token_ids(key, value);
      if (!ids)
        return unexpected{ids.error()};
      out.tokens = std::move(*ids);
    } else if (key == "model") {
      auto model = read_string(key, value);
      if (!model)
        return unexpected{model.error()};
      out.model = std::move(*model);
    } else if (!is_nothing(value)) {
      return refuse(std::string{key.substr(0, 64)},
                    fmt::format("unrecognized request argument: '{}'", key.substr(0, 64)));
    }
  }
  if (!has_tokens)
    return refuse("tokens", "'tokens' is required");
  return out;
}

} // namespace troupe::openai
