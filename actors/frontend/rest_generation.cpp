// SPDX-License-Identifier: Apache-2.0
// From a request body to an open stream. The way of a generation:
//
//   generate (I/O) → prepare (text thread) → start (I/O) → gateway … tokens → stream_table
#include <random>

#include <fmt/format.h>

#include "actors/frontend/openai/http_answers.hpp"
#include "actors/frontend/rest_api.hpp"
#include "actors/log/log.hpp"
#include "text/tokenizer.hpp"

namespace troupe {

/// A request between admission and its stream. Passed from thread to thread, never shared.
struct rest_api::generation {
  std::shared_ptr<http_exchange> exchange;
  openai::api api;
  std::string body;
  /// Set on the I/O thread if the client left meanwhile, read there.
  std::shared_ptr<bool> abandoned = std::make_shared<bool>(false);

  // Results of prepare():
  std::optional<openai::api_error> fault;
  std::shared_ptr<const served_model> model;
  openai::completion_request request;
  std::vector<prepared_prompt> prompts;
};

namespace {

std::uint64_t drawn_seed() {
  std::random_device random;
  return (std::uint64_t{random()} << 32) | random();
}

} // namespace

void rest_api::generate(std::shared_ptr<http_exchange> exchange, openai::api which) {
  if (draining_)
    return exchange->respond(openai::error_response(openai::to_api_error({errc::draining, {}})));
  if (in_work_ >= config_.requests_max)
    return exchange->respond(openai::error_response(
      openai::to_api_error({errc::overloaded, "the gateway's limit of open requests is reached"})));
  auto work = std::make_shared<generation>();
  work->api = which;
  work->body = std::move(exchange->request().body);
  work->exchange = exchange;
  exchange->on_abandoned([abandoned = work->abandoned] { *abandoned = true; });
  ++in_work_;
  const bool posted = text_.try_post([self = shared_from_this(), work] {
    self->prepare(*work);
    self->lane_->post([self, work] { self->start(*work); });
  });
  if (posted)
    return;
  exchange->respond(
    openai::error_response(openai::to_api_error({errc::overloaded, "too many requests wait to be read"})));
  release();
}

/// On the text thread.
void rest_api::prepare(generation& g) {
  auto request = parser_.parse_completion(g.api, g.body);
  g.body = {};
  if (!request) {
    g.fault = request.error();
    return;
  }
  g.request = std::move(*request);
  auto model = find_model(g.request.model);
  if (!model) {
    g.fault = model.error();
    return;
  }
  g.model = std::move(*model);
  auto prompts = prepare_prompts(*g.model, g.request);
  if (!prompts)
    g.fault = prompts.error();
  else if (prompts->size() * g.request.choices > config_.choices_max)
    g.fault = openai::api_error{errc::invalid_argument,
                                fmt::format("{} prompts times 'n' {} are {} choices, but at most {} are allowed",
                                            prompts->size(), g.request.choices, prompts->size() * g.request.choices,
                                            config_.choices_max),
                                "n"};
  else
    g.prompts = std::move(*prompts);
}

void rest_api::start(generation& g) {
  if (*g.abandoned)
    return release();
  if (!g.fault && stopped_)
    g.fault = openai::to_api_error({errc::draining, {}});
  if (g.fault) {
    g.exchange->respond(openai::error_response(*g.fault));
    return release();
  }
  auto requests = make_choices(g);
  client_stream::options options;
  options.model = g.model;
  options.head = {
    g.api, fmt::format("{}-{:016x}", g.api == openai::api::chat ? "chatcmpl" : "cmpl", requests.front().id.value),
    std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count(),
    g.model->name, g.model->mock};
  options.output.api = g.api;
  options.output.specials = g.request.skip_special_tokens ? text::special_output::skip : text::special_output::keep;
  options.output.logprobs = g.request.sampling.logprobs;
  options.output.stops = g.request.stops;
  options.streams = g.request.stream;
  options.usage = g.request.stream_usage;
  std::vector<client_stream::choice> choices;
  for (const auto& r : requests)
    choices.push_back({r.id, choice_output{*g.model->tokenizer, r.prompt, options.output},
                       r.sampling.choice == 0 ? static_cast<std::uint32_t>(r.prompt.size()) : 0});
  streams_.open(std::make_shared<client_stream>(g.exchange, std::move(options), std::move(choices)));
  callbacks_.on_open(std::move(requests));
}

/// n choices of each prompt, those of a prompt together, as OpenAI numbers them.
std::vector<inference_request> rest_api::make_choices(generation& g) {
  inference_request common;
  common.model = g.model->name;
  common.sampling = std::move(g.request.sampling);
  common.sampling.seed = g.request.seed ? *g.request.seed : drawn_seed();
  common.stop_tokens = stop_tokens_of(*g.model, g.request);
  common.priority = g.request.priority;
  common.time_left = config_.request_time;
  common.queue_time_left = config_.queue_time;
  std::vector<inference_request> out;
  for (auto& prompt : g.prompts) {
    for (std::uint32_t i = 0; i < g.request.choices; ++i) {
      auto& r = out.emplace_back(common);
      r.id = request_id{next_request_++};
      r.prompt = prompt.tokens;
      r.output_tokens_max = prompt.output_tokens_max;
      r.sampling.choice = i;
    }
  }
  log_debug("gateway", "generating",
            {{"request", g.exchange->request().id},
             {"first-id", out.front().id.value},
             {"choices", out.size()},
             {"seed", common.sampling.seed},
             {"seed-drawn", !g.request.seed}});
  return out;
}

/// A request that was counted in has ended.
void rest_api::release() {
  --in_work_;
  if (draining_ && !stopped_ && in_work_ == 0)
    callbacks_.on_drained();
}

} // namespace troupe
