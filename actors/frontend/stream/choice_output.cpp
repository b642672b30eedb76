// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/stream/choice_output.hpp"

#include <algorithm>

namespace troupe {

choice_output::choice_output(const text::tokenizer& tokenizer, std::span<const token_id> prompt, const options& o)
  : tokenizer_(&tokenizer), detokenizer_(tokenizer, prompt, o.specials) {
  if (!o.stops.empty())
    matcher_.emplace(o.stops);
  if (o.logprobs)
    logprobs_.emplace(o.api, tokenizer);
}

std::string choice_output::push(const stream_tokens& in) {
  std::string text;
  cached_tokens_ = std::max(cached_tokens_, in.usage.cached_tokens);
  mixed_workers_ = mixed_workers_ || in.usage.mixed_workers;
  for (const auto& token : in.tokens) {
    if (finish_ != finish_reason::none)
      return text;
    ++tokens_;
    // A worker of another build could know more tokens than our vocabulary; they have no text.
    if (token.token >= tokenizer_->size())
      continue;
    if (logprobs_)
      logprobs_->add(token);
    text += match(detokenizer_.push(token.token));
  }
  if (in.finish != finish_reason::none && finish_ == finish_reason::none) {
    text += match(detokenizer_.finish());
    if (matcher_ && finish_ == finish_reason::none)
      text += matcher_->finish();
    stopped_here_ = false; // the worker has ended anyway
    if (finish_ == finish_reason::none)
      finish_ = in.finish;
  }
  return text;
}

std::string choice_output::match(std::string text) {
  if (!matcher_ || text.empty())
    return text;
  auto out = matcher_->feed(text);
  if (out.matched) {
    finish_ = finish_reason::stop;
    stopped_here_ = true;
  }
  return std::move(out.text);
}

std::string choice_output::take_logprobs() { return logprobs_ ? logprobs_->take() : std::string{}; }

} // namespace troupe
