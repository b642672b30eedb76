// SPDX-License-Identifier: Apache-2.0
#include "actors/worker/scheduler.hpp"

#include <algorithm>

#include "actors/worker/scheduler_parts.hpp"
#include "actors/worker/sequence_hash.hpp"

namespace troupe {

namespace {

scheduler_config at_least_one_of_each(scheduler_config x) {
  for (auto* bound : {&x.block_tokens, &x.slots, &x.step_tokens_max, &x.chunk_tokens_max, &x.rows_max, &x.running_max,
                      &x.steps_in_flight_max})
    *bound = std::max(*bound, 1u);
  // So that whatever runs has a slot.
  x.running_max = std::min(x.running_max, x.slots);
  return x;
}

} // namespace

scheduler::parts::parts(scheduler_config c, sequence_hasher hasher)
  : config{at_least_one_of_each(c)}, pool{config.blocks, config.block_tokens, hasher},
    windows{config.window_tokens == 0 ? 0 : config.window_blocks} {
  for (auto i = config.slots; i > 0; --i)
    free_slots.push_back(slot_id{i - 1});
}

std::uint32_t scheduler::parts::blocks_of(std::uint64_t tokens) const {
  return blocks_for(tokens, config.block_tokens);
}

void scheduler::parts::run(sequence& s) {
  s.state = sequence_state::running;
  s.slot = free_slots.back();
  free_slots.pop_back();
  running.insert(std::ranges::upper_bound(running, &s, sequence_order{}), &s);
}

scheduler_load scheduler::parts::load() const {
  scheduler_load x;
  const auto count = [](const block_ledger& group) {
    return scheduler_load::group{group.blocks(), group.free_blocks(), group.quarantined_blocks()};
  };
  x.groups = {count(pool), count(windows)};
  x.running = static_cast<std::uint32_t>(running.size()) + holding_count;
  x.landing = landing_count;
  x.queued = static_cast<std::uint32_t>(waiting.size());
  for (const auto* s : running)
    x.prefill_tokens += s->left_to_prefill();
  for (const auto* s : waiting)
    if (s->request.mode != sequence_mode::landing)
      x.prefill_tokens += s->left_to_prefill();
  return x;
}

const scheduler_load::group& scheduler_load::tightest() const {
  const auto& [full, sliding] = groups;
  return std::uint64_t{sliding.free_blocks} * full.blocks < std::uint64_t{full.free_blocks} * sliding.blocks ? sliding
                                                                                                             : full;
}

scheduler::scheduler(scheduler_config config) : scheduler{config, sequence_hash} {}
scheduler::scheduler(scheduler_config config, sequence_hasher hasher)
  : parts_{std::make_unique<parts>(config, hasher)} {}
scheduler::~scheduler() = default;
scheduler::scheduler(scheduler&&) noexcept = default;
scheduler& scheduler::operator=(scheduler&&) noexcept = default;

expected<void, error> scheduler::add(sequence_request request, steady_time now) {
  auto added = parts_->add(std::move(request), now);
  parts_->counters.refused += !added;
  return added;
}

bool scheduler::cancel(request_id id) {
  const auto found = parts_->sequences.find(id);
  if (found == parts_->sequences.end())
    return false;
  parts_->end(*found->second);
  return true;
}

std::optional<planned_step> scheduler::next_step(steady_time now, scheduler_events& events) {
  return parts_->next_step(now, events);
}

void scheduler::complete(const gpu::step_result& result, scheduler_events& events) { parts_->complete(result, events); }

void scheduler::landed(request_id id, const sampled_token& first, std::uint32_t cached_tokens,
                       scheduler_events& events) {
  parts_->landed(id, first, cached_tokens, events);
}

void scheduler::landing_broken(request_id id, std::uint32_t valid_tokens, landing_writer writer) {
  parts_->landing_broken(id, valid_tokens, writer);
}

void scheduler::release_landing(request_id id) { parts_->release_landing(id); }

void scheduler::release(request_id id) {
  const auto found = parts_->sequences.find(id);
  if (found != parts_->sequences.end() && found->second->request.mode == sequence_mode::prefill_only)
    parts_->end(*found->second);
}

void scheduler::expire(steady_time now, scheduler_events& events) { parts_->expire(now, events); }

void scheduler::fail_all(errc code, const std::string& context, scheduler_events& events) {
  parts_->fail_all(code, context, events);
}

bool scheduler::idle() const { return parts_->sequences.empty() && parts_->flights.empty(); }

std::uint32_t scheduler::steps_in_flight() const { return static_cast<std::uint32_t>(parts_->flights.size()); }

scheduler_load scheduler::load() const { return parts_->load(); }

const scheduler_counters& scheduler::counters() const { return parts_->counters; }

std::optional<std::string> scheduler::check() const { return parts_->check(); }

} // namespace troupe
