// SPDX-License-Identifier: Apache-2.0
// How sequences end, and what becomes of what they held.
#include <algorithm>

#include "actors/worker/scheduler_parts.hpp"

namespace troupe {

void scheduler::parts::finish(sequence& s, finish_reason reason, scheduler_events& events) {
  const auto output_tokens = s.length() - s.request.prompt_tokens;
  events.finishes.push_back({s.request.id, reason, {s.request.prompt_tokens, s.cached_tokens, output_tokens}});
  end(s);
}

void scheduler::parts::fail(sequence& s, errc code, std::string context, scheduler_events& events) {
  events.failures.push_back({s.request.id, code, std::move(context)});
  end(s);
}

void scheduler::parts::end(sequence& s) {
  if (s.state == sequence_state::landing)
    quarantine_missing(s);
  unlist(s);
  close_slot(s);
  auto node = sequences.extract(s.request.id);
  s.state = sequence_state::ended;
  if (s.steps_out > 0)
    ended.push_back(std::move(node.mapped()));
  else
    drop_table(s);
}

void scheduler::parts::unlist(sequence& s) {
  switch (s.state) {
    case sequence_state::waiting:
      waiting.erase(&s);
      queued_count -= !s.started;
      break;
    case sequence_state::landing: --landing_count; break;
    case sequence_state::running:
    case sequence_state::draining: running.erase(std::ranges::find(running, &s)); break;
    case sequence_state::holding: --holding_count; break;
    case sequence_state::ended: break;
  }
}

void scheduler::parts::bury(sequence& s) {
  drop_table(s);
  std::erase_if(ended, [&](const auto& x) { return x.get() == &s; });
}

void scheduler::parts::drop_table(sequence& s) {
  for (; !s.table.empty(); s.table.pop_back())
    pool.drop(s.table.back());
  drop_windows(s);
}

void scheduler::parts::close_slot(sequence& s) {
  if (!s.slot)
    return;
  if (s.slot_is_open)
    closes.push_back(*s.slot);
  free_slots.push_back(*s.slot);
  s.slot.reset();
  s.slot_is_open = false;
}

std::vector<sequence*> scheduler::parts::by_arrival() const {
  std::vector<sequence*> all;
  for (const auto& [id, s] : sequences)
    all.push_back(s.get());
  std::ranges::sort(all, {}, &sequence::arrival);
  return all;
}

std::string_view scheduler::parts::lateness(const sequence& s, steady_time now) {
  if (s.request.deadline <= now)
    return "its deadline passed";
  if (!s.started && s.request.queue_deadline <= now)
    return "it waited too long in the queue";
  return {};
}

void scheduler::parts::expire(steady_time now, scheduler_events& events) {
  for (auto* s : by_arrival())
    if (const auto late = lateness(*s, now); !late.empty())
      fail(*s, errc::deadline_exceeded, std::string{late}, events);
}

void scheduler::parts::fail_all(errc code, const std::string& context, scheduler_events& events) {
  // No step comes back, and the next device begins with nothing open and nothing cached.
  flights.clear();
  for (const auto& s : ended)
    drop_table(*s);
  ended.clear();
  for (auto* s : by_arrival()) {
    s->steps_out = 0;
    fail(*s, code, context, events);
  }
  closes.clear();
  pool.forget_contents();
  windows.forget_contents();
}

} // namespace troupe
