// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/openai/request_fields.hpp"

#include <charconv>
#include <iterator>
#include <limits>

#include <fmt/format.h>

#include "actors/frontend/openai/chat_messages.hpp"

namespace troupe::openai {

using simdjson::dom::element_type;

namespace {

using row = const field_description&;

/// Stores what a reader returned, or hands on its error.
template <class Target, class Value>
verdict store(Target& target, result<Value> value) {
  if (!value)
    return unexpected{value.error()};
  target = static_cast<Target>(std::move(*value));
  return {};
}

template <class Target, class Value>
verdict store(std::optional<Target>& target, result<Value> value) {
  if (!value)
    return unexpected{value.error()};
  target = static_cast<Target>(*value);
  return {};
}

constexpr std::int64_t u32_max = std::numeric_limits<std::uint32_t>::max();

// -- harmless and refused fields -----------------------------------------------------------------

verdict ignore(draft&, row, json) { return {}; }

unexpected<api_error> unsupported(row f, json v) {
  return refuse(std::string{f.name}, fmt::format("'{}' is {}, which is not supported", f.name, show(v)));
}

verdict only_nothing(draft&, row f, json v) {
  if (is_nothing(v))
    return {};
  return unsupported(f, v);
}

verdict only_true(draft&, row f, json v) {
  if (v.type() == element_type::BOOL && bool{v})
    return {};
  return unsupported(f, v);
}

template <int Least, int Most>
verdict only_number(draft&, row f, json v) {
  if (double x = 0; !v.get(x) && x >= Least && x <= Most)
    return {};
  return unsupported(f, v);
}

verdict only_any_of(row f, json v, std::initializer_list<std::string_view> words) {
  std::string_view text;
  if (!v.get(text))
    for (auto word : words)
      if (word == text)
        return {};
  return unsupported(f, v);
}

verdict read_tool_choice(draft&, row f, json v) { return only_any_of(f, v, {"none", "auto"}); }
verdict read_service_tier(draft&, row f, json v) { return only_any_of(f, v, {"auto", "default"}); }
verdict read_verbosity(draft&, row f, json v) { return only_any_of(f, v, {"medium"}); }
verdict read_reasoning_effort(draft&, row f, json v) { return only_any_of(f, v, {"none"}); }

verdict read_response_format(draft&, row f, json v) {
  std::string_view type;
  if (is_nothing(v))
    return {};
  if (v.type() != element_type::OBJECT || v["type"].get(type))
    return refuse(std::string{f.name}, "'response_format' must be an object with a string 'type'");
  if (type != "text")
    return refuse("response_format.type",
                  fmt::format("'response_format.type' is {}, but only \"text\" is supported", show(v["type"])));
  return {};
}

verdict read_modalities(draft&, row f, json v) {
  simdjson::dom::array items;
  if (v.get(items))
    return unsupported(f, v);
  for (json item : items)
    if (auto ok = only_any_of(f, item, {"text"}); !ok)
      return ok;
  return {};
}

// -- the text ------------------------------------------------------------------------------------

verdict read_model(draft& d, row f, json v) { return store(d.request.model, read_string(f.name, v)); }

verdict read_messages(draft& d, row, json v) {
  d.has_messages = true;
  return store(d.request.messages, read_chat_messages(v));
}

verdict add_prompt(draft& d, row f, json v) {
  if (d.request.prompts.size() >= d.limits->prompts_max)
    return refuse(std::string{f.name}, fmt::format("'{}' has more than {} prompts", f.name, d.limits->prompts_max));
  if (v.type() == element_type::STRING) {
    d.request.prompts.emplace_back(std::string{std::string_view{v}});
    return {};
  }
  auto ids = read_token_ids(f.name, v);
  if (!ids)
    return unexpected{ids.error()};
  d.request.prompts.emplace_back(std::move(*ids));
  return {};
}

verdict read_prompt(draft& d, row f, json v) {
  d.has_prompt = true;
  simdjson::dom::array items;
  if (v.type() == element_type::STRING)
    return add_prompt(d, f, v);
  if (v.get(items) || items.size() == 0)
    return refuse(std::string{f.name}, "'prompt' must be a string, token ids, or a list of either, and not empty");
  const auto first = items.at(0).type().value();
  if (first != element_type::STRING && first != element_type::ARRAY)
    return add_prompt(d, f, v);
  for (json item : items)
    if (auto ok = add_prompt(d, f, item); !ok)
      return ok;
  return {};
}

verdict read_template_variables(draft& d, row f, json v) {
  if (v.type() != element_type::OBJECT)
    return refuse(std::string{f.name}, fmt::format("'{}' must be an object, not {}", f.name, show(v)));
  d.request.template_variables = simdjson::minify(v);
  return {};
}

verdict read_add_generation_prompt(draft& d, row f, json v) {
  return store(d.request.add_generation_prompt, read_bool(f.name, v));
}

verdict read_add_special_tokens(draft& d, row f, json v) {
  return store(d.request.add_special_tokens, read_bool(f.name, v));
}

// -- how much ------------------------------------------------------------------------------------

verdict read_max_tokens(draft& d, row f, json v) { return store(d.max_tokens, read_integer(f.name, v, 1, u32_max)); }

verdict read_max_completion_tokens(draft& d, row f, json v) {
  return store(d.max_completion_tokens, read_integer(f.name, v, 1, u32_max));
}

verdict read_n(draft& d, row f, json v) {
  return store(d.request.choices, read_integer(f.name, v, 1, d.limits->choices_max));
}

verdict read_stop(draft& d, row f, json v) {
  const auto field = std::string{f.name};
  auto add = [&](json item) -> verdict {
    auto text = read_string(f.name, item);
    if (!text)
      return unexpected{text.error()};
    if (text->empty() || text->size() > d.limits->stop_bytes_max)
      return refuse(field, fmt::format("'stop' has a string of {} bytes, but each must have 1 to {}", text->size(),
                                       d.limits->stop_bytes_max));
    d.request.stops.push_back(std::move(*text));
    return {};
  };
  if (is_nothing(v))
    return {};
  simdjson::dom::array items;
  if (v.get(items))
    return add(v);
  if (items.size() > d.limits->stops_max)
    return refuse(field,
                  fmt::format("'stop' has {} strings, but at most {} are allowed", items.size(), d.limits->stops_max));
  for (json item : items)
    if (auto ok = add(item); !ok)
      return ok;
  return {};
}

verdict read_stop_token_ids(draft& d, row f, json v) {
  auto ids = read_token_ids(f.name, v);
  if (ids && ids->size() > d.limits->stops_max)
    return refuse(std::string{f.name},
                  fmt::format("'{}' has {} ids, but at most {} are allowed", f.name, ids->size(), d.limits->stops_max));
  return store(d.request.stop_tokens, std::move(ids));
}

verdict read_ignore_eos(draft& d, row f, json v) {
  return store(d.request.ignore_end_of_generation, read_bool(f.name, v));
}

verdict read_skip_special_tokens(draft& d, row f, json v) {
  return store(d.request.skip_special_tokens, read_bool(f.name, v));
}

// -- sampling ------------------------------------------------------------------------------------

verdict read_temperature(draft& d, row f, json v) {
  return store(d.request.sampling.temperature, read_float(f.name, v, 0, 2));
}

verdict read_top_p(draft& d, row f, json v) {
  auto ok = store(d.request.sampling.top_p, read_float(f.name, v, 0, 1));
  // OpenAI allows 0. The smallest set that is not empty is the most probable token.
  if (ok && d.request.sampling.top_p == 0)
    d.request.sampling.top_p = std::numeric_limits<float>::min();
  return ok;
}

verdict read_top_k(draft& d, row f, json v) {
  auto k = read_integer(f.name, v, -1, std::numeric_limits<std::int32_t>::max());
  if (k && *k == -1) // vLLM's way to say "off"
    k = std::int64_t{0};
  return store(d.request.sampling.top_k, std::move(k));
}

verdict read_min_p(draft& d, row f, json v) { return store(d.request.sampling.min_p, read_float(f.name, v, 0, 1)); }

verdict read_presence_penalty(draft& d, row f, json v) {
  return store(d.request.sampling.presence_penalty, read_float(f.name, v, -2, 2));
}

verdict read_frequency_penalty(draft& d, row f, json v) {
  return store(d.request.sampling.frequency_penalty, read_float(f.name, v, -2, 2));
}

verdict read_repetition_penalty(draft& d, row f, json v) {
  return store(d.request.sampling.repetition_penalty, read_float(f.name, v, 0.01, 10));
}

verdict read_seed(draft& d, row f, json v) {
  if (std::uint64_t seed = 0; v.is<std::uint64_t>() && !v.get(seed)) {
    d.request.seed = seed;
    return {};
  }
  using limits = std::numeric_limits<std::int64_t>;
  return store(d.request.seed, read_integer(f.name, v, limits::min(), limits::max()));
}

verdict read_logit_bias(draft& d, row f, json v) {
  simdjson::dom::object members;
  if (v.get(members))
    return refuse(std::string{f.name},
                  fmt::format("'{}' must be an object of token ids and numbers, not {}", f.name, show(v)));
  if (members.size() > d.limits->logit_bias_max)
    return refuse(std::string{f.name}, fmt::format("'{}' has {} entries, but at most {} are allowed", f.name,
                                                   members.size(), d.limits->logit_bias_max));
  for (auto member : members) {
    std::uint64_t id = 0;
    const auto key = std::string_view{member.key};
    const auto [end, failed] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (failed != std::errc{} || end != key.data() + key.size() || id > u32_max)
      return refuse(std::string{f.name},
                    fmt::format("'{}' has the key \"{}\", which is not a token id", f.name, key.substr(0, 64)));
    auto bias = read_float(f.name, member.value, -100, 100);
    if (!bias)
      return unexpected{bias.error()};
    d.request.sampling.logit_bias.push_back({static_cast<token_id>(id), *bias});
  }
  return {};
}

verdict read_logprobs(draft& d, row f, json v) {
  auto& sampling = d.request.sampling;
  if (d.request.api == api::chat)
    return store(sampling.logprobs, read_bool(f.name, v));
  // Completions: a number of alternatives. Some clients send false for none.
  if (v.type() == element_type::BOOL && !bool{v})
    return {};
  sampling.logprobs = true;
  return store(sampling.top_logprobs, read_integer(f.name, v, 0, d.limits->logprobs_max));
}

verdict read_top_logprobs(draft& d, row f, json v) {
  d.has_top_logprobs = true;
  return store(d.request.sampling.top_logprobs, read_integer(f.name, v, 0, d.limits->logprobs_max));
}

// -- how it is answered --------------------------------------------------------------------------

verdict read_stream(draft& d, row f, json v) { return store(d.request.stream, read_bool(f.name, v)); }

verdict read_stream_options(draft& d, row f, json v) {
  simdjson::dom::object members;
  if (v.get(members))
    return refuse(std::string{f.name}, fmt::format("'{}' must be an object, not {}", f.name, show(v)));
  d.has_stream_options = true;
  for (auto member : members) {
    const auto field = fmt::format("{}.{}", f.name, std::string_view{member.key}.substr(0, 64));
    if (member.value.is_null() || member.key == "include_obfuscation")
      continue;
    if (member.key == "include_usage") {
      if (auto ok = store(d.request.stream_usage, read_bool(field, member.value)); !ok)
        return ok;
    } else if (!is_nothing(member.value)) {
      return refuse(field, fmt::format("'{}' is not supported", field));
    }
  }
  return {};
}

verdict read_priority(draft& d, row f, json v) {
  using limits = std::numeric_limits<std::int32_t>;
  return store(d.request.priority, read_integer(f.name, v, limits::min(), limits::max()));
}

using enum field_use;

constexpr field_row rows[] = {
  {{"model", honoured, true, true, "required"}, read_model},
  {{"messages", honoured, true, false, "required; content is a string or a list of text parts"}, read_messages},
  {{"prompt", honoured, false, true, "required; string, token ids, or a list of either, at most 64"}, read_prompt},
  {{"max_tokens", honoured, true, true, "default: rest of the context (chat), 16 (completions)"}, read_max_tokens},
  {{"max_completion_tokens", honoured, true, false, "the newer name of max_tokens"}, read_max_completion_tokens},
  {{"temperature", honoured, true, true, "0 to 2, default 1; 0 is greedy"}, read_temperature},
  {{"top_p", honoured, true, true, "0 to 1, default 1"}, read_top_p},
  {{"top_k", honoured, true, true, "default 0: off; -1 is off too"}, read_top_k},
  {{"min_p", honoured, true, true, "0 to 1, default 0"}, read_min_p},
  {{"presence_penalty", honoured, true, true, "-2 to 2, default 0"}, read_presence_penalty},
  {{"frequency_penalty", honoured, true, true, "-2 to 2, default 0"}, read_frequency_penalty},
  {{"repetition_penalty", honoured, true, true, "0.01 to 10, default 1"}, read_repetition_penalty},
  {{"seed", honoured, true, true, "64 bits; without one a seed is drawn"}, read_seed},
  {{"logit_bias", honoured, true, true, "token id to -100 to 100, at most 1024"}, read_logit_bias},
  {{"stop", honoured, true, true, "string or list, at most 16 of 256 bytes"}, read_stop},
  {{"stop_token_ids", honoured, true, true, "at most 16"}, read_stop_token_ids},
  {{"ignore_eos", honoured, true, true, "default false"}, read_ignore_eos},
  {{"skip_special_tokens", honoured, true, true, "default true"}, read_skip_special_tokens},
  {{"add_special_tokens", honoured, false, true, "default true: BOS where the vocabulary wants it"},
   read_add_special_tokens},
  {{"add_generation_prompt", honoured, true, false, "default true"}, read_add_generation_prompt},
  {{"chat_template_kwargs", honoured, true, false, "variables for the template"}, read_template_variables},
  {{"n", honoured, true, true, "1 to 8"}, read_n},
  {{"logprobs", honoured, true, true, "chat: boolean; completions: 0 to 20"}, read_logprobs},
  {{"top_logprobs", honoured, true, false, "0 to 20, with logprobs"}, read_top_logprobs},
  {{"stream", honoured, true, true, ""}, read_stream},
  {{"stream_options", honoured, true, true, "include_usage; only with stream"}, read_stream_options},
  {{"priority", honoured, true, true, "lower is sooner, default 0"}, read_priority},

  {{"user", harmless, true, true, ""}, ignore},
  {{"safety_identifier", harmless, true, true, ""}, ignore},
  {{"prompt_cache_key", harmless, true, true, "prefixes are shared without it"}, ignore},
  {{"prompt_cache_retention", harmless, true, true, ""}, ignore},
  {{"metadata", harmless, true, true, ""}, ignore},
  {{"parallel_tool_calls", harmless, true, false, "there are no tools"}, ignore},
  {{"cache_prompt", harmless, true, true, "always on"}, ignore},
  {{"request_id", harmless, true, true, "use the header x-request-id"}, ignore},

  {{"store", refused, true, true, "only false"}, only_nothing},
  {{"service_tier", refused, true, true, "only auto or default"}, read_service_tier},
  {{"tools", refused, true, false, "only an empty list"}, only_nothing},
  {{"tool_choice", refused, true, false, "only none or auto"}, read_tool_choice},
  {{"functions", refused, true, false, "only an empty list"}, only_nothing},
  {{"function_call", refused, true, false, "only none or auto"}, read_tool_choice},
  {{"response_format", refused, true, true, "only text"}, read_response_format},
  {{"modalities", refused, true, false, "only text"}, read_modalities},
  {{"audio", refused, true, false, ""}, only_nothing},
  {{"prediction", refused, true, false, ""}, only_nothing},
  {{"moderation", refused, true, false, ""}, only_nothing},
  {{"web_search_options", refused, true, false, ""}, only_nothing},
  {{"reasoning_effort", refused, true, false, "only none"}, read_reasoning_effort},
  {{"verbosity", refused, true, false, "only medium"}, read_verbosity},
  {{"best_of", refused, true, true, "only 1"}, only_number<0, 1>},
  {{"echo", refused, true, true, "only false"}, only_nothing},
  {{"suffix", refused, false, true, "only an empty string"}, only_nothing},
  {{"min_tokens", refused, true, true, "only 0"}, only_number<0, 0>},
  {{"use_beam_search", refused, true, true, "only false"}, only_nothing},
  {{"length_penalty", refused, true, true, "only 1"}, only_number<1, 1>},
  {{"early_stopping", refused, true, true, "only false"}, only_nothing},
  {{"prompt_logprobs", refused, true, true, ""}, only_nothing},
  {{"truncate_prompt_tokens", refused, true, true, ""}, only_nothing},
  {{"include_stop_str_in_output", refused, true, true, "only false"}, only_nothing},
  {{"spaces_between_special_tokens", refused, true, true, "only true"}, only_true},
  {{"continue_final_message", refused, true, false, "only false"}, only_nothing},
  {{"chat_template", refused, true, false, "the model's own is used"}, only_nothing},
  {{"documents", refused, true, false, "only an empty list"}, only_nothing},
  {{"cache_salt", refused, true, true, ""}, only_nothing},
  {{"guided_json", refused, true, true, ""}, only_nothing},
  {{"guided_regex", refused, true, true, ""}, only_nothing},
  {{"guided_choice", refused, true, true, ""}, only_nothing},
  {{"guided_grammar", refused, true, true, ""}, only_nothing},
  {{"structured_outputs", refused, true, true, ""}, only_nothing},
  {{"return_token_ids", refused, true, true, "only false"}, only_nothing},
  {{"return_tokens_as_token_ids", refused, true, true, "only false"}, only_nothing},
};

} // namespace

static_assert(std::size(rows) <= field_rows_max);

std::span<const field_row> field_rows() { return rows; }

std::vector<field_description> request_fields() {
  std::vector<field_description> out;
  for (const auto& r : rows)
    out.push_back(r.is);
  return out;
}

} // namespace troupe::openai
