// SPDX-License-Identifier: Apache-2.0
// What goes into a step.
#include <algorithm>

#include "actors/worker/scheduler_parts.hpp"

namespace troupe {

namespace {

/// Of a step's tokens, prefill is sure of this fraction while a prompt waits.
constexpr std::uint32_t prefill_share = 8;

} // namespace

std::optional<planned_step> scheduler::parts::next_step(steady_time now, scheduler_events& events) {
  if (flights.size() >= config.steps_in_flight_max) {
    admit(0, now, events);
    return std::nullopt;
  }
  draft d;
  d.out.id = d.planned.step.id = step_id{last_step + 1};
  d.tokens_left = config.step_tokens_max;
  d.rows_left = config.rows_max;
  plan_decodes(d);
  const bool has_decodes = !d.out.rows.empty();
  admit(d.tokens_left, now, events);
  plan_prefills(d);
  if (d.out.rows.empty())
    return std::nullopt;
  ++last_step;
  ++counters.steps;
  counters.decode_steps += has_decodes;
  d.planned.closes = std::move(closes);
  closes.clear();
  flights.push_back(std::move(d.out));
  return std::move(d.planned);
}

void scheduler::parts::plan_decodes(draft& d) {
  for (auto* s : decoders(d)) {
    // An earlier one may have taken its blocks.
    if (s->state == sequence_state::running && has_block_for(*s, s->computed))
      add_row(d, *s, 1);
  }
}

/// The sequences that draw their next token in this step, in their order; if not all can, those that
/// have waited longest. A part of the step is left to a prompt that waits.
std::vector<sequence*> scheduler::parts::decoders(const draft& d) const {
  std::vector<sequence*> all;
  std::uint64_t to_prefill = 0;
  for (auto* s : running) {
    if (s->state != sequence_state::running)
      continue;
    to_prefill += s->left_to_prefill();
    if (!s->prefilling && s->wants_token())
      all.push_back(s);
  }
  auto share = std::min(d.tokens_left, d.rows_left);
  if (to_prefill > 0) {
    const auto sure = std::max(1u, config.step_tokens_max / prefill_share);
    const auto kept = static_cast<std::uint32_t>(std::min<std::uint64_t>(sure, to_prefill));
    share = std::min(d.tokens_left - kept, d.rows_left - 1);
    // Where a step has room for one of the two only, they take turns.
    if (share == 0)
      share = last_step % 2;
  }
  if (all.size() > share) {
    std::ranges::stable_sort(all, {}, &sequence::last_step);
    all.resize(share);
  }
  return all;
}

/// Gives it blocks up to the `count`th of its tables, as far as there are any; false if it lacks one.
bool scheduler::parts::take_blocks(sequence& s, std::uint32_t count) {
  while (s.table.size() < count) {
    const auto b = pool.take();
    if (!b)
      return false;
    s.table.push_back(*b);
  }
  return !has_windows() || take_windows(s, count);
}

/// Whether its tables reach `position`, after taking blocks for it, if need be from the sequence
/// that comes last. False while blocks are on their way back, or if it was itself the last.
bool scheduler::parts::has_block_for(sequence& s, std::uint32_t position) {
  const auto count = position / config.block_tokens + 1;
  while (!take_blocks(s, count)) {
    // Its own chunk in flight holds more than its share, and gives it back.
    if (has_windows() && s.steps_out > 0 && count - s.slid_blocks > window_share(config))
      return false;
    const auto is_draining = [](const sequence* x) { return x->state == sequence_state::draining; };
    if (!ended.empty() || std::ranges::any_of(running, is_draining))
      return false;
    // Blocks of a prefill_only sequence are being pushed, and it ends soon.
    const auto victim = std::find_if(running.rbegin(), running.rend(),
                                     [](const sequence* x) { return x->request.mode != sequence_mode::prefill_only; });
    const bool is_itself = *victim == &s;
    preempt(**victim);
    if (is_itself)
      return false;
  }
  return true;
}

/// Takes its blocks, now or when no step in flight uses them. Tokens that those steps draw are still
/// its next tokens.
void scheduler::parts::preempt(sequence& s) {
  ++counters.preemptions;
  if (s.steps_out > 0)
    s.state = sequence_state::draining;
  else
    requeue(s);
}

void scheduler::parts::plan_prefills(draft& d) {
  for (auto* s : running) {
    if (d.tokens_left == 0 || d.rows_left == 0)
      return;
    if (s->state != sequence_state::running || s->left_to_prefill() == 0)
      continue;
    auto end = s->computed + std::min({s->left_to_prefill(), config.chunk_tokens_max, d.tokens_left});
    if (has_windows()) {
      end = reach_of_windows(*s, end);
      if (end <= s->computed)
        continue; // a step of its own in flight gives blocks back
      take_windows(*s, blocks_of(end));
    }
    add_row(d, *s, end - s->computed);
  }
}

void scheduler::parts::add_row(draft& d, sequence& s, std::uint32_t count) {
  auto& step = d.planned.step;
  const auto begin = s.computed;
  const auto end = begin + count;
  if (!s.slot_is_open) {
    d.planned.opens.push_back({*s.slot, s.request.sampling, s.tokens, s.request.prompt_tokens});
    s.slot_is_open = true;
  }
  gpu::row r;
  r.slot = *s.slot;
  r.position = begin;
  r.tokens_begin = static_cast<std::uint32_t>(step.tokens.size());
  if (s.samples_out > 0) {
    r.from = s.last_sample;
  } else {
    r.tokens_count = count;
    step.tokens.insert(step.tokens.end(), s.tokens.begin() + begin, s.tokens.begin() + end);
  }
  const auto add_table = [&](gpu::block_range& range, const std::vector<block_id>& table) {
    range = {static_cast<std::uint32_t>(step.blocks.size()), blocks_of(end)};
    step.blocks.insert(step.blocks.end(), table.begin(), table.begin() + range.count);
  };
  add_table(r.tables[0], s.table);
  if (has_windows())
    add_table(r.tables[1], s.window_table);
  const bool draws = end == s.length() + s.samples_out;
  r.want = draws ? gpu::row_want::sample : gpu::row_want::none;
  d.out.rows.push_back({&s, begin, end, s.prefilling, draws});
  step.rows.push_back(r);
  d.tokens_left -= count;
  --d.rows_left;

  s.computed = end;
  s.last_step = d.out.id.value;
  ++s.steps_out;
  if (draws) {
    s.prefilling = false;
    ++s.samples_out;
    s.last_sample = {d.out.id, static_cast<std::uint32_t>(step.rows.size() - 1)};
  }
}

} // namespace troupe
