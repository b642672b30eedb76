// SPDX-License-Identifier: Apache-2.0
// Requests, tokens and peers of a decode worker; its landings are in decode_worker_landing.cpp.
#include "actors/worker/decode_worker.hpp"

#include <utility>

#include "actors/log/unhandled_exception.hpp"

namespace troupe {

decode_worker_state::decode_worker_state(decode_worker_actor::pointer self, worker_config config,
                                         transport_endpoint_actor endpoint)
  : self_(self), core_(
                   self, std::move(config), role_decode, std::move(endpoint), [this](scheduler_events& e) { act(e); },
                   [this] { return outboxes_.empty(); }) {}

decode_worker_actor::behavior_type decode_worker_state::make_behavior() {
  log_unhandled_exceptions(self_);
  if (core_.started()) {
    self_->set_down_handler([this](const caf::down_msg& down) { peer_down(down); });
    core_.start_ticking();
    expire_landings();
  }
  return {
    [this](const cancel_request& what) { cancel(what.request); },
    [this](find_load) { return core_.report(); },
    [this](const drain_request& what) { return core_.drain(what); },
    [this](transport_endpoint_actor& endpoint) {
      // It may come before the notice that the old one is gone.
      lose_endpoint();
      core_.set_endpoint(std::move(endpoint));
    },
    [this](generate_request& what, stream_hub_actor& hub, request_session_actor& session) {
      return generate(what, hub, session);
    },
    [this](const fleet_snapshot& fleet) { follow(fleet); },
    [this](const kv_blocks_arrived& what) { note_arrivals(what); },
  };
}

// -- requests -------------------------------------------------------------------------------------

caf::result<void> decode_worker_state::generate(generate_request& what, stream_hub_actor& hub,
                                                request_session_actor& session) {
  auto& request = what.request;
  if (what.worker_epoch != core_.config().worker_epoch) {
    core_.metrics().stale_messages->inc();
    return to_caf_error({errc::stale, "the request is for another life of this worker"});
  }
  if (request.model != core_.config().model)
    return to_caf_error(
      {errc::model_not_found, "this worker serves " + core_.config().model + ", not " + request.model});
  if (core_.draining())
    return to_caf_error({errc::draining, "this worker is draining"});
  client c{hub,
           session,
           what.attempt,
           what.where.prefill,
           request.sampling,
           request.prompt,
           static_cast<std::uint32_t>(request.prompt.size()),
           request.priority,
           core_.now() + request.time_left};
  c.mixed_workers = what.mixed_workers;
  c.tokens.insert(c.tokens.end(), what.emitted.begin(), what.emitted.end());
  sequence_request sequence{request.id,
                            c.tokens,
                            c.prompt_tokens,
                            request.output_tokens_max,
                            request.sampling,
                            std::move(request.stop_tokens),
                            request.priority,
                            c.deadline,
                            core_.now() + request.queue_time_left,
                            c.prefill ? sequence_mode::landing : sequence_mode::aggregated};
  if (auto added = core_.sequences().add(std::move(sequence), core_.now()); !added)
    return to_caf_error(added.error());
  self_->monitor(session);
  if (hubs_.insert(hub.address()).second)
    self_->monitor(hub);
  clients_.insert_or_assign(request.id, std::move(c));
  core_.advance();
  return caf::unit;
}

void decode_worker_state::cancel(request_id request) {
  auto i = clients_.find(request);
  if (i == clients_.end())
    return; // it ended in the meantime
  auto known = core_.sequences().cancel(request);
  if (auto l = landings_.find(request); l != landings_.end() && known) {
    auto peer = std::move(l->second.peer);
    landings_.erase(l);
    abandon(request, peer);
  }
  if (auto box = outboxes_.find(i->second.hub); box != outboxes_.end())
    box->second.forget(request);
  forget(request);
  core_.advance();
}

void decode_worker_state::forget(request_id request) {
  auto i = clients_.find(request);
  if (i == clients_.end())
    return;
  self_->demonitor(i->second.session);
  clients_.erase(i);
}

// -- what the scheduler says ----------------------------------------------------------------------

void decode_worker_state::act(scheduler_events& events) {
  for (auto& token : events.tokens)
    emit(token);
  for (auto& finished : events.finishes)
    finish(finished);
  for (auto& failed : events.failures)
    fail(failed);
  for (auto& reserved : events.reservations)
    offer(reserved);
  flush_outboxes();
}

void decode_worker_state::emit(const scheduler_events::token& token) {
  auto i = clients_.find(token.id);
  if (i == clients_.end())
    return;
  auto& entry = outboxes_[i->second.hub].entry(token.id, token.index);
  entry.attempt = i->second.attempt;
  entry.usage.mixed_workers = i->second.mixed_workers;
  entry.tokens.push_back(token.sampled);
  // Another node has another clock.
  if (!entry.sampled_at && token.sampled_at && i->second.hub.node() == self_->node())
    entry.sampled_at = token.sampled_at->time_since_epoch();
}

void decode_worker_state::finish(const scheduler_events::finished& finished) {
  auto i = clients_.find(finished.id);
  if (i == clients_.end())
    return;
  auto usage = finished.usage;
  usage.cached_tokens = std::max(usage.cached_tokens, i->second.cached_tokens);
  usage.mixed_workers = i->second.mixed_workers;
  auto& entry = outboxes_[i->second.hub].entry(finished.id, usage.output_tokens);
  entry.attempt = i->second.attempt;
  entry.finish = finished.reason;
  entry.usage = usage;
  forget(finished.id);
}

void decode_worker_state::fail(const scheduler_events::failed& failed) {
  if (auto l = landings_.find(failed.id); l != landings_.end()) {
    auto peer = std::move(l->second.peer);
    landings_.erase(l);
    abandon(failed.id, peer);
  }
  auto i = clients_.find(failed.id);
  if (i == clients_.end())
    return;
  self_->send(i->second.session, generation_failed{failed.id, i->second.attempt, failed.code, failed.context});
  forget(failed.id);
}

void decode_worker_state::flush_outboxes() {
  // flush() drops an outbox that is empty, so the next one is found first.
  for (auto i = outboxes_.begin(); i != outboxes_.end();)
    flush((i++)->first);
}

void decode_worker_state::flush(const stream_hub_actor& hub) {
  auto i = outboxes_.find(hub);
  if (i == outboxes_.end() || i->second.under_way())
    return;
  if (i->second.empty()) {
    outboxes_.erase(i);
    return;
  }
  token_batch batch{core_.config().id, core_.config().worker_epoch, i->second.take(++batches_)};
  self_->request(hub, core_.config().answer_time_max, std::move(batch))
    .then(
      [this, hub, number = batches_] {
        if (auto box = outboxes_.find(hub); box != outboxes_.end() && box->second.under_way(number)) {
          box->second.acknowledged();
          flush(hub);
          core_.advance(); // a drain may have waited for it
        }
      },
      [this, hub, number = batches_](const caf::error&) {
        // It is stuck, which its sessions have to know. If it is gone that was noticed before.
        if (auto box = outboxes_.find(hub); box != outboxes_.end() && box->second.under_way(number))
          lose_hub(hub.address(), "the stream hub does not answer");
      });
}

void decode_worker_state::lose_hub(const caf::actor_addr& hub, const std::string& why) {
  std::erase_if(outboxes_, [&](auto& kv) { return kv.first.address() == hub; });
  std::vector<request_id> orphans;
  for (auto& [id, c] : clients_)
    if (c.hub.address() == hub)
      orphans.push_back(id);
  for (auto id : orphans) {
    // The end of one lets others start, or be late.
    auto c = clients_.find(id);
    if (c == clients_.end())
      continue;
    self_->send(c->second.session, generation_failed{id, c->second.attempt, errc::unavailable, why});
    cancel(id);
  }
}

// -- the others -----------------------------------------------------------------------------------

void decode_worker_state::follow(const fleet_snapshot& fleet) {
  auto before = std::exchange(prefill_peers_, {});
  for (auto& [record, handle] : fleet.members)
    if ((record.roles & role_prefill) != 0 && record.fingerprint == core_.info().fingerprint
        && record.numerics == core_.info().numerics && record.block_bytes == core_.block_bytes()) {
      prefill_peer peer{caf::actor_cast<prefill_worker_actor>(handle), record.endpoint};
      if (watched_peers_.insert(peer.worker.address()).second)
        self_->monitor(peer.worker);
      prefill_peers_[record.id] = std::move(peer);
    }
  for (auto id : fleet.hung)
    if (auto peer = before.find(id); peer != before.end())
      lose_landings([&](const landing& l) { return l.peer.worker == peer->second.worker; });
}

/// With the endpoint its transports are gone, so nothing can land any more.
void decode_worker_state::lose_endpoint() {
  core_.lose_endpoint();
  region_descriptions_.clear();
  lose_landings([](const landing&) { return true; });
}

void decode_worker_state::peer_down(const caf::down_msg& down) {
  if (core_.is_endpoint(down.source)) {
    lose_endpoint();
    return;
  }
  if (hubs_.erase(down.source) > 0) {
    lose_hub(down.source, "the stream hub ended");
    return;
  }
  // An answer that a dead peer owes never comes, and what it is asked from now on is never answered.
  watched_peers_.erase(down.source);
  std::erase_if(prefill_peers_, [&](auto& kv) { return kv.second.worker.address() == down.source; });
  lose_landings([&](const landing& l) { return l.peer.worker.address() == down.source; });
  lose_writer(down.source);
  std::vector<request_id> orphans;
  for (auto& [id, c] : clients_)
    if (c.session.address() == down.source)
      orphans.push_back(id);
  for (auto id : orphans)
    cancel(id);
}

decode_worker_actor spawn_decode_worker(caf::actor_system& system, worker_config config,
                                        transport_endpoint_actor endpoint) {
  return system.spawn<decode_worker_actor::stateful_impl<decode_worker_state>>(std::move(config), std::move(endpoint));
}

} // namespace troupe
