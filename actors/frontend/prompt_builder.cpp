// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/prompt_builder.hpp"

#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "text/tokenizer.hpp"

namespace troupe {

using openai::api_error;
using openai::completion_request;
using openai::refuse;

namespace {

/// OpenAI's default for completions; a chat may use the rest of the context.
constexpr std::uint32_t completion_tokens_default = 16;

std::optional<api_error> find_unknown(const served_model& model, std::string_view field, std::span<const token_id> ids) {
  const auto size = model.tokenizer->size();
  for (auto id : ids)
    if (id >= size)
      return refuse(std::string{field}, fmt::format("'{}' has token {}, but the model's vocabulary ends at {}", field, id, size - 1)).error;
  return std::nullopt;
}

openai::result<std::vector<token_id>> chat_tokens(const served_model& model, const completion_request& r,
                                                  const chat_renderer& render) {
  auto text = render(model, {r.messages, r.template_variables, r.add_generation_prompt});
  if (!text)
    return unexpected{openai::to_api_error(text.error())};
  // The template writes BOS itself where the model wants it.
  return model.tokenizer->encode(*text, {text::parse_special::yes, text::add_special::no});
}

std::vector<token_id> prompt_tokens(const served_model& model, const completion_request& r, const openai::prompt_input& in) {
  if (auto ids = std::get_if<std::vector<token_id>>(&in))
    return *ids;
  return model.tokenizer->encode(std::get<std::string>(in),
                                 {text::parse_special::no,
                                  r.add_special_tokens ? text::add_special::yes : text::add_special::no});
}

openai::result<prepared_prompt> fit(const served_model& model, const completion_request& r, std::vector<token_id> tokens) {
  const auto field = r.api == openai::api::chat ? "messages" : "prompt";
  if (tokens.empty())
    return refuse(field, fmt::format("'{}' is empty", field));
  if (auto fault = find_unknown(model, field, tokens))
    return unexpected{*fault};
  const std::uint64_t context = model.context_tokens;
  const std::uint64_t wanted = r.output_tokens_max.value_or(1);
  if (tokens.size() + wanted > context)
    return unexpected{api_error{errc::context_too_long,
                                fmt::format("the model's context is {} tokens, but {} were asked for: {} in the prompt, {} for the output",
                                            context, tokens.size() + wanted, tokens.size(), wanted),
                                field}};
  const auto rest = static_cast<std::uint32_t>(context - tokens.size());
  const auto most = r.api == openai::api::chat ? rest : std::min(rest, completion_tokens_default);
  return prepared_prompt{std::move(tokens), r.output_tokens_max.value_or(most)};
}

std::optional<api_error> find_unknown_tokens(const served_model& model, const completion_request& r) {
  if (auto fault = find_unknown(model, "stop_token_ids", r.stop_tokens))
    return fault;
  for (const auto& bias : r.sampling.logit_bias)
    if (auto fault = find_unknown(model, "logit_bias", {&bias.token, 1}))
      return fault;
  return std::nullopt;
}

} // namespace

openai::result<std::vector<prepared_prompt>> prepare_prompts(const served_model& model, const completion_request& r,
                                                             const chat_renderer& render) {
  if (auto fault = find_unknown_tokens(model, r))
    return unexpected{*fault};
  std::vector<prepared_prompt> out;
  auto add = [&](std::vector<token_id> tokens) -> expected<void, api_error> {
    auto prompt = fit(model, r, std::move(tokens));
    if (!prompt)
      return unexpected{prompt.error()};
    out.push_back(std::move(*prompt));
    return {};
  };
  if (r.api == openai::api::chat) {
    auto tokens = chat_tokens(model, r, render);
    if (!tokens)
      return unexpected{tokens.error()};
    if (auto ok = add(std::move(*tokens)); !ok)
      return unexpected{ok.error()};
    return out;
  }
  for (const auto& prompt : r.prompts)
    if (auto ok = add(prompt_tokens(model, r, prompt)); !ok)
      return unexpected{ok.error()};
  return out;
}

std::vector<token_id> stop_tokens_of(const served_model& model, const completion_request& r) {
  std::vector<token_id> out = r.stop_tokens;
  if (!r.ignore_end_of_generation)
    out.insert(out.end(), model.stop_tokens.begin(), model.stop_tokens.end());
  return out;
}

} // namespace troupe
