// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/prompt_builder.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>
#include <span>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "text/chat_template.hpp"
#include "text/tokenizer.hpp"

namespace troupe {

using openai::api_error;
using openai::completion_request;
using openai::refuse;

namespace {

/// OpenAI's default for completions; a chat may use the rest of the context.
constexpr std::uint32_t completion_tokens_default = 16;

std::optional<api_error> find_unknown(const served_model& model, std::string_view field,
                                      std::span<const token_id> ids) {
  const auto size = model.tokenizer->size();
  for (auto id : ids)
    if (id >= size)
      return refuse(std::string{field},
                    fmt::format("'{}' has token {}, but the model's vocabulary ends at {}", field, id, size - 1))
        .error;
  return std::nullopt;
}

std::chrono::local_seconds local_now() {
  const auto now = std::time(nullptr);
  std::tm t{};
  localtime_r(&now, &t);
  using namespace std::chrono;
  return local_days{year{t.tm_year + 1900} / (t.tm_mon + 1) / t.tm_mday} + hours{t.tm_hour} + minutes{t.tm_min}
         + seconds{t.tm_sec};
}

/// What transformers gives a template, so that those written for it work.
std::optional<nlohmann::ordered_json> template_context(const served_model& model, const completion_request& r) {
  auto parse = [](const std::string& text) { return nlohmann::ordered_json::parse(text, nullptr, false); };
  auto context = r.template_variables.empty() ? nlohmann::ordered_json::object() : parse(r.template_variables);
  auto messages = parse(r.messages);
  if (!context.is_object() || messages.is_discarded())
    return std::nullopt;
  context["messages"] = std::move(messages);
  context["add_generation_prompt"] = r.add_generation_prompt;
  for (auto absent : {"tools", "documents"})
    if (!context.contains(absent))
      context[absent] = nullptr;
  const auto& tokenizer = *model.tokenizer;
  context["bos_token"] = tokenizer.bos() ? std::string{tokenizer.piece(*tokenizer.bos())} : std::string{};
  context["eos_token"] = tokenizer.eos() ? std::string{tokenizer.piece(*tokenizer.eos())} : std::string{};
  return context;
}

openai::result<std::vector<token_id>> encoded(const served_model& model, std::string_view text,
                                              text::tokenizer::encode_options options, std::string field) {
  auto tokens = model.tokenizer->encode(text, options);
  if (!tokens)
    return unexpected{api_error{tokens.error().code, tokens.error().context, std::move(field)}};
  return *std::move(tokens);
}

openai::result<std::vector<token_id>> chat_tokens(const served_model& model, const completion_request& r) {
  if (!model.chat_template)
    return unexpected{
      api_error{errc::no_chat_template, "the model has no chat template; use /v1/completions", "messages"}};
  const auto context = template_context(model, r);
  if (!context)
    return refuse("messages", "'messages' or 'chat_template_kwargs' cannot be read");
  auto text = model.chat_template->render(*context, local_now());
  if (!text)
    return unexpected{api_error{errc::no_chat_template,
                                "the model's chat template refused the messages: " + text.error().message, "messages"}};
  // The template writes BOS itself where the model wants it.
  return encoded(model, *text, {text::parse_special::yes, text::add_special::no}, "messages");
}

openai::result<std::vector<token_id>> prompt_tokens(const served_model& model, const completion_request& r,
                                                    const openai::prompt_input& in) {
  if (auto ids = std::get_if<std::vector<token_id>>(&in))
    return *ids;
  return encoded(model, std::get<std::string>(in),
                 {text::parse_special::no, r.add_special_tokens ? text::add_special::yes : text::add_special::no},
                 "prompt");
}

openai::result<prepared_prompt> fit(const served_model& model, const completion_request& r,
                                    std::vector<token_id> tokens) {
  const auto field = r.api == openai::api::chat ? "messages" : "prompt";
  if (tokens.empty())
    return refuse(field, fmt::format("'{}' is empty", field));
  if (auto fault = find_unknown(model, field, tokens))
    return unexpected{*fault};
  const std::uint64_t context = model.context_tokens;
  const std::uint64_t wanted = r.output_tokens_max.value_or(1);
  if (tokens.size() + wanted > context)
    return unexpected{api_error{
      errc::context_too_long,
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

openai::result<std::vector<prepared_prompt>> prepare_prompts(const served_model& model, const completion_request& r) {
  if (auto fault = find_unknown_tokens(model, r))
    return unexpected{*fault};
  std::vector<prepared_prompt> out;
  auto add = [&](openai::result<std::vector<token_id>> tokens) -> expected<void, api_error> {
    if (!tokens)
      return unexpected{tokens.error()};
    auto prompt = fit(model, r, *std::move(tokens));
    if (!prompt)
      return unexpected{prompt.error()};
    out.push_back(std::move(*prompt));
    return {};
  };
  if (r.api == openai::api::chat) {
    if (auto ok = add(chat_tokens(model, r)); !ok)
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
