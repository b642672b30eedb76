// SPDX-License-Identifier: Apache-2.0
#include "actors/worker/prefill_worker.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "actors/log/unhandled_exception.hpp"
#include "messages/kv/checksum.hpp"

namespace troupe {

prefill_worker_state::prefill_worker_state(prefill_worker_actor::pointer self, worker_config config,
                                           transport_endpoint_actor endpoint)
  : self_(self), core_(
                   self, std::move(config), role_prefill, std::move(endpoint), [this](scheduler_events& e) { act(e); },
                   [this] { return jobs_.empty() && writing_.empty(); }) {}

prefill_worker_actor::behavior_type prefill_worker_state::make_behavior() {
  log_unhandled_exceptions(self_);
  if (core_.started()) {
    self_->set_down_handler([this](const caf::down_msg& down) {
      if (core_.is_endpoint(down.source))
        core_.lose_endpoint(); // pushes under way answer with an error by themselves
      else
        lose_asker(down.source);
    });
    core_.start_ticking();
  }
  return {
    [this](const cancel_request& what) { cancel(what.request, {errc::cancelled, "the prefill was cancelled"}); },
    [this](find_load) { return core_.report(); },
    [this](const drain_request& what) { return core_.drain(what); },
    [this](transport_endpoint_actor& endpoint) { core_.set_endpoint(std::move(endpoint)); },
    [this](prefill_request& what) { return prefill(what); },
    [this](const abandon_landing& what) { return abandon(what); },
    [](const kv_blocks_arrived&) {
      // Nobody pushes into a prefill worker: it offers no landing.
    },
  };
}

caf::result<prefill_completed> prefill_worker_state::prefill(prefill_request& what) {
  if (core_.draining())
    return to_caf_error({errc::draining, "this worker is draining"});
  if (!core_.endpoint())
    return to_caf_error({errc::transfer_failed, "this node's transport endpoint is down"});
  // CAF delivers what came over a connection that it did not take for one of a node's without its sender: to nobody
  // could be answered.
  auto asker = caf::actor_cast<caf::actor_addr>(self_->current_sender());
  if (!asker)
    return to_caf_error({errc::worker_lost, "the decode worker's link is broken"});
  auto& landing = what.landing;
  if (!fits(landing, static_cast<std::uint32_t>(what.tokens.size())))
    return to_caf_error({errc::invalid_argument, "the landing is for another model, layout or prompt"});
  // Of a decode worker that was given up, unless it says so first.
  cancel(what.request, {errc::cancelled, "another landing of the same request came"});
  auto deadline = core_.now() + what.time_left;
  sequence_request sequence{
    what.request, std::move(what.tokens), what.prompt_tokens,         1, what.sampling, {}, what.priority,
    deadline,     steady_time::max(),     sequence_mode::prefill_only};
  // Output tokens of an earlier worker are computed like a prompt; one more is drawn.
  sequence.output_tokens_max = static_cast<std::uint32_t>(sequence.tokens.size()) - sequence.prompt_tokens + 1;
  if (auto added = core_.sequences().add(std::move(sequence), core_.now()); !added)
    return to_caf_error(added.error());
  if (askers_.insert(asker).second)
    self_->monitor(asker);
  auto promise = self_->make_response_promise<prefill_completed>();
  std::vector<std::vector<std::uint64_t>> checksums(landing.groups.size());
  jobs_.insert_or_assign(
    what.request,
    job{++last_job_, std::move(landing), std::move(asker), promise, {}, std::move(checksums), {}, 0, deadline});
  core_.advance();
  return promise;
}

/// Whether a landing is for this model, with this layout, and for a prompt of so many tokens.
bool prefill_worker_state::fits(const kv_landing& landing, std::uint32_t tokens) const {
  auto& groups = core_.groups();
  if (landing.fingerprint != core_.info().fingerprint || landing.numerics != core_.info().numerics
      || landing.groups.size() != groups.size())
    return false;
  auto blocks = blocks_for(tokens, core_.block_tokens());
  for (std::size_t g = 0; g < groups.size(); ++g) {
    auto& wanted = landing.groups[g];
    // What this worker has of a sliding group when the prompt is computed.
    auto first = std::min(groups[g].first_block(tokens), blocks);
    if (wanted.block_bytes != groups[g].block_bytes || wanted.first_block < first || wanted.first_block > blocks
        || wanted.blocks.size() != blocks - wanted.first_block)
      return false;
  }
  return landing.groups[0].first_block < blocks;
}

void prefill_worker_state::cancel(request_id request, const error& why) {
  give_up(request, to_caf_error(why));
  core_.advance();
}

void prefill_worker_state::lose_asker(const caf::actor_addr& asker) {
  askers_.erase(asker);
  std::vector<request_id> orphans;
  for (auto& [request, job] : jobs_)
    if (job.asker == asker)
      orphans.push_back(request);
  for (auto request : orphans)
    cancel(request, {errc::worker_lost, "the decode worker ended"});
}

caf::result<void> prefill_worker_state::abandon(const abandon_landing& what) {
  if (auto i = jobs_.find(what.request);
      i != jobs_.end() && i->second.landing.owner == what.owner && i->second.landing.owner_epoch == what.owner_epoch)
    cancel(what.request, {errc::cancelled, "the decode worker gave the landing up"});
  if (!is_writing_for(what))
    return caf::unit;
  return abandoned_.emplace_back(abandoning{what, self_->make_response_promise<void>()}).promise;
}

bool prefill_worker_state::is_writing_for(const abandon_landing& what) const {
  return std::ranges::any_of(writing_, [&](auto& kv) { return kv.second.whose == what; });
}

void prefill_worker_state::act(scheduler_events& events) {
  for (auto& computed : events.prefills)
    note_computed(computed);
  for (auto& failed : events.failures)
    give_up(failed.id, to_caf_error({failed.code, failed.context}));
  if (!push_turn_comes_)
    push_computed();
}

void prefill_worker_state::note_computed(const scheduler_events::computed& computed) {
  auto i = jobs_.find(computed.id);
  if (i == jobs_.end())
    return;
  auto& job = i->second;
  if (computed.first_token) {
    job.first = computed.first_token;
    job.cached_tokens = computed.cached_tokens;
  }
  for (std::size_t g = 0; g < core_.groups().size(); ++g) {
    auto& blocks = computed.blocks[g];
    for (auto index = blocks.first_block; index < blocks.end(); ++index)
      if (index >= job.landing.groups[g].first_block) // else the decode worker has it
        job.unpushed.push_back({g, index, blocks.blocks[index - blocks.first_block]});
  }
}

/// Pushes the blocks of finished steps while the next one computes, until a turn's bytes are reached. The next turn
/// comes by the clock and not by a message to itself, with which this actor would keep its thread from all others.
void prefill_worker_state::push_computed() {
  push_turn_comes_ = false;
  auto bytes_left = core_.config().checksum_turn_bytes;
  while (auto request = next_to_push()) {
    if (bytes_left == 0) {
      push_turn_comes_ = true;
      self_->run_delayed(std::chrono::seconds{0}, [this] {
        push_computed();
        core_.advance();
      });
      return;
    }
    bytes_left -= std::min(bytes_left, push_some(*request, bytes_left));
  }
}

/// Who came first.
std::optional<request_id> prefill_worker_state::next_to_push() const {
  const std::pair<const request_id, job>* next = nullptr;
  for (auto& entry : jobs_)
    if (!entry.second.unpushed.empty() && (!next || entry.second.number < next->second.number))
      next = &entry;
  return next ? std::optional{next->first} : std::nullopt;
}

/// Notes the checksums of a job's next blocks, of one cache group, and pushes them. Returns their bytes: at least one
/// block's, else less than a block more than `bytes_max`.
std::uint64_t prefill_worker_state::push_some(request_id id, std::uint64_t bytes_max) {
  auto& job = jobs_.at(id);
  auto group = job.unpushed.front().group;
  auto& to = job.landing.groups[group];
  auto block_bytes = to.block_bytes;
  push_blocks order{{},        job.landing.endpoint,
                    to.region, block_bytes,
                    {},        std::min<std::chrono::nanoseconds>(job.deadline - core_.now(), job.landing.lease)};
  std::uint64_t bytes = 0;
  for (; bytes < bytes_max && !job.unpushed.empty() && job.unpushed.front().group == group; bytes += block_bytes) {
    auto [_, index, source] = job.unpushed.front();
    job.unpushed.pop_front();
    job.checksums[group].push_back(kv_checksum(core_.bytes_of(group, source)));
    order.blocks.push_back(
      {source * block_bytes,
       to.blocks[index - to.first_block] * block_bytes,
       {id, job.landing.owner_epoch, job.landing.number, static_cast<std::uint8_t>(group), index}});
  }
  send_push(id, group, std::move(order));
  return bytes;
}

void prefill_worker_state::send_push(request_id id, std::size_t group, push_blocks order) {
  auto& job = jobs_.at(id);
  if (!core_.endpoint()) {
    give_up(id, to_caf_error({errc::transfer_failed, "this node's transport endpoint is down"}));
    return;
  }
  order.source = core_.region(group);
  auto number = job.number;
  auto& under_way = writing_[number];
  under_way.whose = {id, job.landing.owner, job.landing.owner_epoch};
  ++under_way.pushes;
  auto patience =
    std::max<std::chrono::nanoseconds>(order.time_left, std::chrono::milliseconds{1}) + core_.config().answer_time_max;
  self_->request(core_.endpoint(), patience, std::move(order))
    .then(
      [this, id, number](const blocks_pushed&) {
        push_ended(number);
        answer_if_done(id);
        core_.advance();
      },
      [this, id, number](const caf::error& e) {
        if (auto job = jobs_.find(id); job != jobs_.end() && job->second.number == number)
          give_up(id, e);
        push_ended(number);
        core_.advance();
      });
}

void prefill_worker_state::push_ended(std::uint64_t job_number) {
  auto i = writing_.find(job_number);
  if (i == writing_.end() || --i->second.pushes > 0)
    return;
  writing_.erase(i);
  std::erase_if(abandoned_, [this](auto& waiting) {
    if (is_writing_for(waiting.what))
      return false;
    waiting.promise.deliver();
    return true;
  });
}

void prefill_worker_state::answer_if_done(request_id request) {
  auto i = jobs_.find(request);
  if (i == jobs_.end() || !i->second.first || !i->second.unpushed.empty() || writing_.contains(i->second.number))
    return;
  auto job = std::move(i->second);
  jobs_.erase(i);
  job.promise.deliver(prefill_completed{request, job.landing.owner_epoch, core_.info().fingerprint,
                                        std::move(job.checksums), std::move(*job.first), job.cached_tokens});
  core_.sequences().release(request);
}

void prefill_worker_state::give_up(request_id request, const caf::error& why) {
  auto i = jobs_.find(request);
  if (i == jobs_.end())
    return;
  auto job = std::move(i->second);
  jobs_.erase(i);
  job.promise.deliver(why);
  // A push under way still reads these blocks, which others may be given meanwhile; nobody reads what it then writes,
  // since no completion record follows, and the decode worker waits for its end before it uses the landing's blocks
  // again.
  [[maybe_unused]] bool known = core_.sequences().cancel(request);
}

prefill_worker_actor spawn_prefill_worker(caf::actor_system& system, worker_config config,
                                          transport_endpoint_actor endpoint) {
  return system.spawn<prefill_worker_actor::stateful_impl<prefill_worker_state>>(std::move(config),
                                                                                 std::move(endpoint));
}

} // namespace troupe
