// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/stream_hub.hpp"

#include <algorithm>

#include <caf/actor_system.hpp>
#include <caf/telemetry/metric_registry.hpp>
#include <fmt/format.h>

#include "actors/log/unhandled_exception.hpp"
#include "messages/caf_error.hpp"

namespace troupe {

namespace {

stream_hub_metrics make_metrics(caf::telemetry::metric_registry& registry) {
  constexpr auto prefix = "troupe.stream-hub";
  stream_hub_metrics out;
  out.duplicates =
    registry.counter_singleton(prefix, "duplicate-tokens", "Tokens dropped because the stream had them.", "1", true);
  out.late =
    registry.counter_singleton(prefix, "late-tokens", "Tokens dropped because their worker was given up.", "1", true);
  out.unknown =
    registry.counter_singleton(prefix, "unknown-streams", "Parts of batches for streams that are gone.", "1", true);
  out.batches = registry.counter_singleton(prefix, "batches", "Token batches taken from workers.", "1", true);
  return out;
}

} // namespace

stream_hub_state::stream_hub_state(frontend_hub_actor::pointer self, stream_hub_config config)
  : self_(self), config_(std::move(config)), metrics_(make_metrics(self->system().metrics())) {}

frontend_hub_actor::behavior_type stream_hub_state::make_behavior() {
  log_unhandled_exceptions(self_);
  self_->set_down_handler([this](const caf::down_msg& down) { on_session_down(down); });
  return {
    [this](token_batch& batch) { take(batch); },
    [this](const generation_failed& failed) { fail(failed.request, {failed.code, failed.context}); },
    [this](const find_stream_progress& question) { return progress(question); },
    [this](const open_choice& open) { choices_.try_emplace(open.request); },
    [this](const bind_session& bound) { bind(bound); },
    [this](const close_choices& closed) {
      for (auto request : closed.requests)
        conclude(request);
    },
  };
}

void stream_hub_state::take(token_batch& batch) {
  metrics_.batches->inc();
  std::vector<stream_tokens> fresh;
  fresh.reserve(batch.streams.size());
  for (auto& tokens : batch.streams)
    if (take(tokens))
      fresh.push_back(std::move(tokens));
  if (!fresh.empty())
    config_.lane->post([deliver = config_.deliver, fresh = std::move(fresh)] { deliver(fresh); });
}

bool stream_hub_state::take(stream_tokens& in) {
  const auto found = choices_.find(in.request);
  if (found == choices_.end() || found->second.over) {
    metrics_.unknown->inc();
    return false;
  }
  if (in.attempt != found->second.attempt) {
    // Of a worker that was given up: it may compute other bits than the one that goes on.
    metrics_.late->inc(static_cast<std::int64_t>(in.tokens.size()));
    return false;
  }
  auto& emitted = found->second.emitted;
  const std::size_t end = std::size_t{in.first_index} + in.tokens.size();
  if (in.first_index > emitted.size()) {
    const auto request = in.request;
    const error gap{errc::internal, fmt::format("tokens {} to {} of request {} are missing", emitted.size(),
                                                in.first_index - 1, request.value)};
    config_.lane->post([fail = config_.fail, request, gap] { fail(request, gap); });
    conclude(request);
    return false;
  }
  const std::size_t known = std::min(emitted.size() - in.first_index, in.tokens.size());
  metrics_.duplicates->inc(static_cast<std::int64_t>(known));
  in.tokens.erase(in.tokens.begin(), in.tokens.begin() + static_cast<std::ptrdiff_t>(known));
  in.first_index += static_cast<std::uint32_t>(known);
  // An end that lies before what the stream has is that of a worker which was given up.
  const bool ends = in.finish != finish_reason::none && end >= emitted.size();
  if (in.tokens.empty() && !ends)
    return false;
  for (const auto& token : in.tokens)
    emitted.push_back(token.token);
  if (ends)
    conclude(in.request);
  return true;
}

void stream_hub_state::fail(request_id request, const error& e) {
  const auto found = choices_.find(request);
  if (found == choices_.end() || found->second.over)
    return;
  choices_.erase(found);
  config_.lane->post([fail = config_.fail, request, e] { fail(request, e); });
}

stream_progress stream_hub_state::progress(const find_stream_progress& question) {
  const auto found = choices_.find(question.request);
  if (found == choices_.end() || found->second.over)
    return {question.request, {}, true};
  found->second.attempt = question.attempt;
  return {question.request, found->second.emitted, false};
}

void stream_hub_state::bind(const bind_session& bound) {
  const auto found = choices_.find(bound.request);
  if (found == choices_.end() || found->second.over) {
    if (found != choices_.end())
      choices_.erase(found);
    self_->send(bound.session, cancel_request{bound.request});
    return;
  }
  found->second.session = bound.session;
  sessions_.emplace(bound.session.id(), bound.request);
  self_->monitor(bound.session);
}

/// Nothing more is wanted or will come.
void stream_hub_state::conclude(request_id request) {
  const auto found = choices_.find(request);
  if (found == choices_.end())
    return;
  if (!found->second.session) {
    found->second.over = true;
    return;
  }
  self_->send(found->second.session, cancel_request{request});
  choices_.erase(found);
}

void stream_hub_state::on_session_down(const caf::down_msg& down) {
  const auto found = sessions_.find(down.source.id());
  if (found == sessions_.end())
    return;
  const auto request = found->second;
  sessions_.erase(found);
  if (!choices_.contains(request))
    return;
  // A session that gives up says so before it ends, and one that has nothing left to do was told so.
  const auto why = from_caf_error(down.reason);
  fail(request, {why.code == errc::none ? errc::internal : why.code, "the request's session ended: " + why.context});
}

} // namespace troupe
