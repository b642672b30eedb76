// SPDX-License-Identifier: Apache-2.0
#include "actors/router/router.hpp"

#include <algorithm>

#include "actors/log/unhandled_exception.hpp"
#include "actors/node/local_services.hpp"
#include "messages/caf_error.hpp"

namespace troupe {

router_state::router_state(router_actor::pointer self, router_config config)
  : self_(self), config_(std::move(config)) {}

router_actor::behavior_type router_state::make_behavior() {
  log_unhandled_exceptions(self_);
  tick();
  return {
    [this](const demand& what) { return place(what); },
    [this](const release_placement& what) { release(what.request); },
    [this](const fleet_snapshot& fleet) { follow(fleet); },
  };
}

caf::result<routed> router_state::place(const demand& what) {
  // A session that continues elsewhere asks again without having released.
  release(what.request);
  auto candidates = candidates_for(what.model);
  // Whoever asks has a file of the model, so there is such a model: its worker may come.
  if (candidates.empty())
    return to_caf_error({errc::unavailable, "no worker serves the model " + what.model});
  auto verdict = config_.policy->place(what, candidates);
  if (auto refusal = std::get_if<planner::refusal>(&verdict))
    return to_caf_error({refusal->code, std::string{refusal->why}});
  auto& where = std::get<placement>(verdict);
  auto decode = find_member(where.decode);
  if (!decode)
    return to_caf_error({errc::internal, "the policy chose a worker that it was not offered"});
  book(what, where);
  return routed{where, decode->record.worker_epoch, decode->record.fingerprint, decode->handle};
}

void router_state::release(request_id request) {
  auto i = ledger_.find(request);
  if (i == ledger_.end())
    return;
  unbook(i->second);
  ledger_.erase(i);
}

void router_state::follow(const fleet_snapshot& fleet) {
  fleet_ = fleet;
  // Of one that hangs, and may come back, the ledger still has requests.
  std::erase_if(usage_, [this](auto& kv) { return kv.second.requests == 0 && !find_member(kv.first); });
  if (!fleet_.hung.empty())
    leave_hung();
}

/// A session that has left that placement already ignores it.
void router_state::leave_hung() {
  for (auto& [request, e] : ledger_)
    if (std::ranges::find(fleet_.hung, e.where.decode) != fleet_.hung.end())
      if (auto session = caf::actor_cast<request_session_actor>(e.session))
        self_->send(session, generation_failed{request, e.attempt, errc::worker_lost, "the decode worker hangs"});
}

void router_state::tick() {
  auto directory = local_services::find<directory_actor>(self_->system(), local_services::directory);
  if (directory && directory.address() != directory_) {
    directory_ = directory.address();
    self_->send(directory, caf::actor_cast<fleet_sink_actor>(self_));
  }
  auto oldest = self_->clock().now() - config_.entry_age_max;
  std::erase_if(ledger_, [&](auto& kv) {
    if (kv.second.since >= oldest)
      return false;
    unbook(kv.second);
    return true;
  });
  self_->run_delayed(config_.tick_interval, [this] { tick(); });
}

std::vector<planner::candidate> router_state::candidates_for(const std::string& model) const {
  std::vector<planner::candidate> result;
  for (auto& [record, handle] : fleet_.members) {
    if (record.model != model)
      continue;
    planner::candidate c{record.id,       record.roles,      record.blocks, record.block_tokens, record.context_tokens,
                         record.numerics, record.fingerprint};
    if (auto i = usage_.find(record.id); i != usage_.end()) {
      c.active_requests = i->second.requests;
      c.active_tokens = i->second.tokens;
      c.last_placed = i->second.last_placed;
    }
    result.push_back(c);
  }
  return result;
}

const fleet_member* router_state::find_member(worker_id id) const {
  auto i = std::ranges::find_if(fleet_.members, [id](auto& m) { return m.record.id == id; });
  return i == fleet_.members.end() ? nullptr : &*i;
}

void router_state::book(const demand& what, const placement& where) {
  entry e{where, std::uint64_t{what.prompt_tokens} + what.output_tokens_expected, self_->clock().now(), what.attempt,
          caf::actor_cast<caf::actor_addr>(self_->current_sender())};
  ++placements_;
  auto add = [&](worker_id id) {
    auto& u = usage_[id];
    ++u.requests;
    u.tokens += e.tokens;
    u.last_placed = placements_;
  };
  add(where.decode);
  if (where.prefill)
    add(*where.prefill);
  ledger_.emplace(what.request, e);
}

void router_state::unbook(const entry& e) {
  auto remove = [&](worker_id id) {
    auto& u = usage_.at(id);
    --u.requests;
    u.tokens -= e.tokens;
  };
  remove(e.where.decode);
  if (e.where.prefill)
    remove(*e.where.prefill);
}

router_actor spawn_router(caf::actor_system& system, router_config config) {
  return system.spawn<router_actor::stateful_impl<router_state>>(std::move(config));
}

} // namespace troupe
