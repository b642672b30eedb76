// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/stream/client_stream.hpp"

#include "actors/frontend/http_status.hpp"
#include "actors/frontend/openai/http_answers.hpp"

namespace troupe {

namespace {

http_headers headers_of(const served_model& model) {
  http_headers out;
  if (model.mock)
    out.emplace_back("x-troupe-mock", "true");
  return out;
}

} // namespace

client_stream::client_stream(std::shared_ptr<http_exchange> exchange, options o, std::vector<choice> choices)
  : exchange_(std::move(exchange)), options_(std::move(o)), events_(options_.head, options_.usage),
    choices_(std::move(choices)), arrival_(exchange_->request().arrival), open_choices_(choices_.size()) {}

void client_stream::push(std::size_t index, const stream_tokens& tokens, clock::time_point now) {
  auto& c = choices_[index];
  if (ended_ || c.ended())
    return;
  const auto text = c.output.push(tokens);
  c.last_tokens = now;
  if (options_.streams) {
    push_event(c, index, text);
  } else {
    c.text += text;
  }
  if (c.ended() && --open_choices_ == 0)
    complete();
}

void client_stream::push_event(choice& c, std::size_t index, std::string_view text) {
  if (text.empty() && !c.ended())
    return;
  // Reused: an event is written for nearly every token.
  static thread_local std::string event;
  event.clear();
  if (!c.has_role)
    events_.append_role(event, static_cast<std::uint32_t>(index));
  c.has_role = true;
  const auto logprobs = c.output.take_logprobs();
  const auto number = static_cast<std::uint32_t>(index);
  // Chat ends with an empty delta, as OpenAI's does; completions put the reason on the last text.
  const bool apart = c.ended() && options_.head.api == openai::api::chat && !text.empty();
  if (apart) {
    events_.append_delta(event, {number, text, logprobs, finish_reason::none});
    events_.append_delta(event, {number, {}, {}, c.output.finish()});
  } else {
    events_.append_delta(event, {number, text, logprobs, c.output.finish()});
  }
  write(event);
}

void client_stream::write(std::string_view event) {
  if (!begun_)
    exchange_->begin_events(headers_of(*options_.model));
  begun_ = true;
  exchange_->write_event(event);
}

void client_stream::complete() {
  ended_ = true;
  if (options_.streams) {
    std::string event;
    if (options_.usage)
      events_.append_usage(event, total());
    event += openai::event_writer::done;
    write(event);
    return exchange_->end_events();
  }
  std::vector<openai::response_choice> parts;
  for (auto& c : choices_) {
    c.logprobs = c.output.take_logprobs();
    parts.push_back({c.text, c.logprobs, c.output.finish()});
  }
  http_response response;
  response.body = openai::whole_body(options_.head, parts, total());
  response.headers = headers_of(*options_.model);
  exchange_->respond(std::move(response));
}

usage client_stream::total() const {
  usage out;
  for (const auto& c : choices_) {
    out.prompt_tokens += c.prompt_tokens;
    out.output_tokens += c.output.tokens();
    out.mixed_workers = out.mixed_workers || c.output.mixed_workers();
    // A later choice of a prompt finds what the first computed: that is not the client's cache.
    if (c.prompt_tokens > 0)
      out.cached_tokens += c.output.cached_tokens();
  }
  return out;
}

void client_stream::fail(const openai::api_error& e) {
  if (ended_)
    return;
  ended_ = true;
  if (!begun_)
    return exchange_->respond(openai::error_response(e));
  exchange_->write_event(openai::error_event(e) + std::string{openai::event_writer::done});
  exchange_->end_events();
}

void client_stream::give_up() {
  ended_ = true;
  const auto error = openai::to_api_error({errc::slow_reader, {}});
  exchange_->write_event(openai::error_event(error) + std::string{openai::event_writer::done});
  exchange_->give_up();
}

} // namespace troupe
