// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/stream/stream_table.hpp"

namespace troupe {

namespace {

double seconds(client_stream::clock::duration d) { return std::chrono::duration<double>(d).count(); }

} // namespace

stream_table::stream_table(frontend_metrics metrics, callbacks c) : metrics_(metrics), callbacks_(std::move(c)) {}

void stream_table::open(std::shared_ptr<client_stream> stream) {
  for (std::size_t i = 0; i < stream->choices().size(); ++i)
    entries_.emplace(stream->choices()[i].id, entry{stream, i});
  ++streams_;
  metrics_.open_streams->inc();
  // Weak, because the exchange belongs to the stream.
  stream->exchange().on_abandoned([this, weak = std::weak_ptr{stream}] {
    if (auto s = weak.lock(); s && !s->ended()) {
      s->abandon();
      remove(s);
    }
  });
}

void stream_table::deliver(const std::vector<stream_tokens>& batch) {
  const auto now = client_stream::clock::now();
  for (const auto& tokens : batch) {
    const auto found = entries_.find(tokens.request);
    if (found == entries_.end())
      continue;
    const auto [stream, choice] = found->second;
    observe(*stream, choice, tokens, now);
    stream->push(choice, tokens, now);
    stream->exchange().flush(); // may find the client gone, which removes the stream
    observe_flushed(*stream, tokens);
    if (!stream->ended() && stream->exchange().queued_bytes() > queued_bytes_max) {
      metrics_.slow_readers->inc();
      stream->give_up();
    }
    const auto still = entries_.find(tokens.request);
    if (still == entries_.end())
      continue;
    const auto& output = stream->choices()[choice].output;
    if (tokens.finish != finish_reason::none || output.finish() != finish_reason::none) {
      entries_.erase(still);
      if (output.stopped_here())
        callbacks_.on_unwanted({tokens.request});
    }
    if (stream->ended())
      remove(stream);
  }
}

void stream_table::observe(const client_stream& stream, std::size_t choice, const stream_tokens& tokens,
                           client_stream::clock::time_point now) {
  if (tokens.tokens.empty())
    return;
  metrics_.tokens->inc(static_cast<std::int64_t>(tokens.tokens.size()));
  const auto last = stream.choices()[choice].last_tokens;
  if (last == client_stream::clock::time_point{})
    metrics_.time_to_first_token->observe(seconds(now - stream.arrival()));
  else
    metrics_.inter_token_latency->observe(seconds(now - last));
}

void stream_table::observe_flushed(const client_stream& stream, const stream_tokens& tokens) {
  if (tokens.tokens.empty() || !tokens.sampled_at || !stream.streams() || stream.exchange().queued_bytes() > 0)
    return;
  metrics_.sampled_to_socket->observe(seconds(client_stream::clock::now().time_since_epoch() - *tokens.sampled_at));
}

void stream_table::fail(request_id id, const error& e) {
  const auto found = entries_.find(id);
  if (found == entries_.end())
    return;
  const auto stream = found->second.stream;
  entries_.erase(found);
  stream->fail(openai::to_api_error(e));
  remove(stream);
}

void stream_table::fail_all(const error& e) {
  while (!entries_.empty()) {
    const auto stream = entries_.begin()->second.stream;
    stream->fail(openai::to_api_error(e));
    remove(stream);
  }
}

void stream_table::remove(const std::shared_ptr<client_stream>& stream) {
  std::vector<request_id> unwanted;
  for (const auto& c : stream->choices())
    if (entries_.erase(c.id) > 0)
      unwanted.push_back(c.id);
  if (!unwanted.empty())
    callbacks_.on_unwanted(std::move(unwanted));
  --streams_;
  metrics_.open_streams->dec();
  callbacks_.on_ended();
}

} // namespace troupe
