// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/openai/response_writer.hpp"

#include "actors/frontend/openai/json_writer.hpp"

namespace troupe::openai {

namespace {

void append_head(std::string& out, const response_head& head, std::string_view object) {
  out += R"({"id":)";
  append_string(out, head.id);
  out += R"(,"object":")";
  out += object;
  out += R"(","created":)";
  append_integer(out, head.created);
  out += R"(,"model":)";
  append_string(out, head.model);
  if (head.mock)
    out += R"(,"system_fingerprint":"mock")";
  out += R"(,"choices":[)";
}

void append_finish(std::string& out, finish_reason finish) {
  switch (finish) {
    case finish_reason::none: out += "null"; return;
    case finish_reason::stop: out += R"("stop")"; return;
    case finish_reason::length: out += R"("length")"; return;
  }
}

void append_usage_object(std::string& out, const usage& u) {
  out += R"({"prompt_tokens":)";
  append_unsigned(out, u.prompt_tokens);
  out += R"(,"completion_tokens":)";
  append_unsigned(out, u.output_tokens);
  out += R"(,"total_tokens":)";
  append_unsigned(out, std::uint64_t{u.prompt_tokens} + u.output_tokens);
  out += R"(,"prompt_tokens_details":{"cached_tokens":)";
  append_unsigned(out, u.cached_tokens);
  out += u.mixed_workers ? R"(},"mixed_workers":true})" : "}}";
}

void append_logprobs(std::string& out, std::string_view logprobs) {
  out += R"(,"logprobs":)";
  out += logprobs.empty() ? std::string_view{"null"} : logprobs;
  out += R"(,"finish_reason":)";
}

std::string_view whole_object(api which) { return which == api::chat ? "chat.completion" : "text_completion"; }

std::string_view event_object(api which) { return which == api::chat ? "chat.completion.chunk" : "text_completion"; }

} // namespace

event_writer::event_writer(const response_head& head, bool with_usage)
  : api_(head.api), with_usage_(with_usage), prefix_("data: ") {
  append_head(prefix_, head, event_object(head.api));
}

void event_writer::append_end(std::string& out) const { out += with_usage_ ? "}],\"usage\":null}\n\n" : "}]}\n\n"; }

void event_writer::append_role(std::string& out, std::uint32_t choice) const {
  if (api_ != api::chat)
    return;
  out += prefix_;
  out += R"({"index":)";
  append_unsigned(out, choice);
  out += R"(,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null)";
  append_end(out);
}

void event_writer::append_delta(std::string& out, const response_delta& delta) const {
  out += prefix_;
  out += R"({"index":)";
  append_unsigned(out, delta.choice);
  if (api_ == api::completions) {
    out += R"(,"text":)";
    append_utf8_string(out, delta.text);
  } else if (delta.text.empty()) {
    out += R"(,"delta":{})";
  } else {
    out += R"(,"delta":{"content":)";
    append_utf8_string(out, delta.text);
    out += '}';
  }
  append_logprobs(out, delta.logprobs);
  append_finish(out, delta.finish);
  append_end(out);
}

void event_writer::append_usage(std::string& out, const usage& total) const {
  out += prefix_;
  out += R"(],"usage":)";
  append_usage_object(out, total);
  out += "}\n\n";
}

std::string whole_body(const response_head& head, std::span<const response_choice> choices, const usage& total) {
  std::string out;
  append_head(out, head, whole_object(head.api));
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const auto& choice = choices[i];
    out += i > 0 ? R"(,{"index":)" : R"({"index":)";
    append_unsigned(out, i);
    out += head.api == api::chat ? R"(,"message":{"role":"assistant","content":)" : R"(,"text":)";
    append_utf8_string(out, choice.text);
    if (head.api == api::chat)
      out += R"(,"refusal":null})";
    append_logprobs(out, choice.logprobs);
    append_finish(out, choice.finish);
    out += '}';
  }
  out += R"(],"usage":)";
  append_usage_object(out, total);
  out += '}';
  return out;
}

} // namespace troupe::openai
