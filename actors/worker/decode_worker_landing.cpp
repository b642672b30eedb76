// SPDX-License-Identifier: Apache-2.0
// How the KV of a prompt gets from a prefill worker into a decode worker's blocks.
#include <algorithm>
#include <chrono>

#include "actors/worker/decode_worker.hpp"

namespace troupe {

namespace {

/// Wait before a fence that failed is asked for again.
constexpr std::chrono::milliseconds fence_retry{100};

} // namespace

void decode_worker_state::offer(const scheduler_events::reserved& reserved) {
  auto i = clients_.find(reserved.id);
  if (i == clients_.end())
    return;
  auto peer = prefill_peers_.find(*i->second.prefill);
  if (peer == prefill_peers_.end() || peer->second.endpoint.value == 0 || !core_.endpoint()) {
    // Nobody was asked, so nobody writes.
    core_.sequences().landing_broken(reserved.id, 0, scheduler::landing_writer::fenced);
    core_.metrics().landings_broken->inc();
    return;
  }
  landing l{++last_landing_,        peer->second, landing_blocks{reserved.missing},
            reserved.cached_tokens, std::nullopt, core_.now()};
  auto i_landing = landings_.insert_or_assign(reserved.id, std::move(l)).first;
  if (region_descriptions_.contains(peer->second.endpoint))
    send_offer(reserved.id, i_landing->second);
  else
    describe(reserved.id, last_landing_, peer->second.endpoint, {});
}

/// Has the region of each cache group described to a writer; `regions` are done.
void decode_worker_state::describe(request_id id, std::uint64_t number, transport_peer writer,
                                   std::vector<std::string> regions) {
  auto region = core_.region(regions.size());
  self_->request(core_.endpoint(), core_.config().answer_time_max, describe_region{region, writer})
    .then(
      [this, id, number, writer, endpoint = core_.endpoint(),
       regions = std::move(regions)](std::string& description) mutable {
        if (endpoint != core_.endpoint())
          return; // of regions that are gone; so is the landing
        regions.push_back(std::move(description));
        auto* landing = find_landing(id, number);
        if (regions.size() < core_.groups().size()) {
          if (landing)
            describe(id, number, writer, std::move(regions));
          return;
        }
        region_descriptions_[writer] = std::move(regions);
        if (landing)
          send_offer(id, *landing);
      },
      [this, id, number](const caf::error&) {
        if (!find_landing(id, number))
          return;
        break_landing(id, 0, scheduler::landing_writer::fenced);
        core_.advance();
      });
}

void decode_worker_state::send_offer(request_id id, landing& l) {
  auto& c = clients_.at(id);
  auto& config = core_.config();
  auto time_left = c.deadline - core_.now();
  prefill_request ask{id,
                      c.tokens,
                      c.prompt_tokens,
                      c.sampling,
                      c.priority,
                      time_left,
                      {core_.endpoint_id(),
                       {},
                       core_.info().fingerprint,
                       core_.info().numerics,
                       config.id,
                       config.worker_epoch,
                       l.number,
                       config.landing_lease}};
  auto& regions = region_descriptions_.at(l.peer.endpoint);
  for (std::size_t g = 0; g < regions.size(); ++g) {
    auto& missing = l.blocks.missing()[g];
    ask.landing.groups.push_back({regions[g], core_.groups()[g].block_bytes, missing.first_block, missing.blocks});
  }
  // The scheduler fails the sequence at its deadline; this time-out is for a peer that never answers.
  auto patience = std::max<std::chrono::nanoseconds>(time_left, std::chrono::milliseconds{1}) + config.answer_time_max;
  self_->request(l.peer.worker, patience, std::move(ask))
    .then([this, number = l.number](const prefill_completed& record) { note_completed(record, number); },
          [this, id, number = l.number, peer = l.peer](const caf::error&) {
            if (!find_landing(id, number))
              return;
            // It may be what was described that is void: withdrawn by a fence for another landing.
            region_descriptions_.erase(peer.endpoint);
            break_landing(id, 0, scheduler::landing_writer::may_still_write);
            abandon(id, peer);
            core_.advance();
          });
}

/// Null if it is over, also if the request has another by now.
decode_worker_state::landing* decode_worker_state::find_landing(request_id id, std::uint64_t number) {
  auto i = landings_.find(id);
  return i == landings_.end() || i->second.number != number ? nullptr : &i->second;
}

void decode_worker_state::note_arrivals(const kv_blocks_arrived& what) {
  core_.metrics().blocks_received->inc(static_cast<std::int64_t>(what.blocks.size()));
  for (auto& block : what.blocks) {
    auto* l = block.owner_epoch == core_.config().worker_epoch ? find_landing(block.request, block.landing) : nullptr;
    auto arrival = l ? l->blocks.arrive(block.group, block.block_index) : landing_blocks::arrival::not_wanted;
    if (arrival == landing_blocks::arrival::not_wanted)
      core_.metrics().stale_messages->inc();
    if (arrival == landing_blocks::arrival::first)
      l->progressed = core_.now();
  }
  if (!hash_turn_comes_)
    hash_landed();
  core_.advance();
}

void decode_worker_state::note_completed(const prefill_completed& record, std::uint64_t number) {
  auto* l = find_landing(record.request, number);
  if (!l || record.owner_epoch != core_.config().worker_epoch) {
    core_.metrics().stale_messages->inc();
    return;
  }
  l->record = record;
  try_read(record.request);
  core_.advance();
}

/// Hashes blocks that have landed until a turn's bytes are reached. The next turn comes by the clock and not by a
/// message to itself, with which this actor would keep its thread from all others until the last block is hashed.
void decode_worker_state::hash_landed() {
  hash_turn_comes_ = false;
  std::uint64_t bytes = 0;
  while (auto id = next_to_hash()) {
    if (bytes >= core_.config().checksum_turn_bytes) {
      hash_turn_comes_ = true;
      self_->run_delayed(std::chrono::seconds{0}, [this] {
        hash_landed();
        core_.advance();
      });
      return;
    }
    bytes +=
      landings_.at(*id).blocks.hash_next([this](auto group, auto block) { return core_.bytes_of(group, block); });
    try_read(*id);
  }
}

/// What can be read soonest comes first, else what was offered first.
std::optional<request_id> decode_worker_state::next_to_hash() const {
  const landing* next = nullptr;
  std::optional<request_id> result;
  auto order = [](const landing& l) { return std::pair{!l.is_delivered(), l.number}; };
  for (auto& [id, l] : landings_)
    if (l.blocks.has_unhashed() && (!next || order(l) < order(*next))) {
      next = &l;
      result = id;
    }
  return result;
}

/// Nothing is read before the completion record is there, and each block has arrived and is hashed.
void decode_worker_state::try_read(request_id id) {
  auto& l = landings_.at(id);
  if (!l.is_delivered() || l.blocks.has_unhashed())
    return;
  if (auto bad = first_bad_block(l)) {
    core_.metrics().checksum_misses->inc();
    // The completion record says that the writer is done with this landing.
    break_landing(id, *bad * core_.block_tokens(), scheduler::landing_writer::fenced);
    return;
  }
  auto record = std::move(*l.record);
  auto cached = std::max(l.cached_tokens, record.cached_tokens);
  landings_.erase(id);
  core_.metrics().landings_completed->inc();
  clients_.at(id).cached_tokens = cached;
  core_.sequences().landed(id, record.first, cached, core_.events());
}

/// Index in the prompt's block tables of the first block that must not be read, in whichever group.
std::optional<std::uint32_t> decode_worker_state::first_bad_block(const landing& l) const {
  if (l.record->fingerprint != core_.info().fingerprint || l.record->checksums.size() != core_.groups().size())
    return 0;
  return l.blocks.first_bad(l.record->checksums);
}

void decode_worker_state::break_landing(request_id id, std::uint32_t valid_tokens, scheduler::landing_writer writer) {
  auto i = landings_.find(id);
  if (i == landings_.end())
    return;
  landings_.erase(i);
  core_.metrics().landings_broken->inc();
  core_.sequences().landing_broken(id, valid_tokens, writer);
}

/// Those whose writer is lost. One that is delivered needs it no more, however long its blocks take to be hashed.
void decode_worker_state::lose_landings(const std::function<bool(const landing&)>& lost) {
  std::vector<std::pair<request_id, prefill_peer>> broken;
  for (auto& [id, l] : landings_)
    if (!l.is_delivered() && lost(l))
      broken.emplace_back(id, l.peer);
  for (auto& [id, peer] : broken) {
    break_landing(id, 0, scheduler::landing_writer::may_still_write);
    abandon(id, peer);
  }
  core_.advance();
}

/// A writer that hangs, or has much else to do, does not keep a request for ever.
void decode_worker_state::expire_landings() {
  auto lease = core_.config().landing_lease;
  auto oldest = core_.now() - lease;
  lose_landings([&](const landing& l) { return l.progressed < oldest; });
  self_->run_delayed(lease / 8, [this] { expire_landings(); });
}

/// Asks the writer of a landing that is over to write no more; its blocks are in quarantine until it says so, or is
/// fenced.
void decode_worker_state::abandon(request_id id, const prefill_peer& peer) {
  auto& config = core_.config();
  auto number = ++last_abandoned_;
  abandoned_.emplace(number, abandoned_landing{id, peer});
  self_->request(peer.worker, config.answer_time_max, abandon_landing{id, config.id, config.worker_epoch})
    .then(
      [this, number, id] {
        if (abandoned_.erase(number) > 0)
          release(id);
      },
      [this, number](const caf::error&) { fence_abandoned(number); });
}

/// A writer that is dead or cut off never answers, and its link may be back before the time-out.
void decode_worker_state::lose_writer(const caf::actor_addr& worker) {
  std::vector<std::uint64_t> unanswered;
  for (auto& [number, landing] : abandoned_)
    if (landing.peer.worker.address() == worker)
      unanswered.push_back(number);
  for (auto number : unanswered)
    fence_abandoned(number);
}

void decode_worker_state::fence_abandoned(std::uint64_t number) {
  if (auto landing = abandoned_.extract(number))
    fence(landing.mapped().request, landing.mapped().peer.endpoint);
}

/// Takes the right to write from all writers of an endpoint, which may be our own, and waits for what it posted before.
void decode_worker_state::fence(request_id id, transport_peer writer) {
  region_descriptions_.erase(writer);
  auto again = [this, id, writer] { self_->run_delayed(fence_retry, [this, id, writer] { fence(id, writer); }); };
  if (!core_.endpoint()) {
    again(); // the supervisor starts the next one
    return;
  }
  self_->request(core_.endpoint(), core_.config().answer_time_max, fence_writer{writer})
    .then([this, id] { release(id); }, [again](const caf::error&) { again(); });
}

void decode_worker_state::release(request_id id) {
  core_.sequences().release_landing(id);
  core_.advance();
}

} // namespace troupe
