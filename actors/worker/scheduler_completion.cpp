// SPDX-License-Identifier: Apache-2.0
// What a step's result means for its sequences.
#include <algorithm>

#include "actors/worker/scheduler_parts.hpp"
#include "gpu/errc.hpp"

namespace troupe {

namespace {

struct verdict {
  errc code = errc::none;
  std::string context;
};

verdict judge(const scheduler::parts::flight& out, const gpu::step_result& result) {
  const auto name = "step " + std::to_string(result.id.value);
  if (result.code != gpu::errc::none) {
    // Everything but a lost device means that the step itself was wrong.
    const bool is_lost = result.code == gpu::errc::device_lost || result.code == gpu::errc::resource;
    return {is_lost ? errc::device_failed : errc::internal,
            name + ": " + to_string(result.code) + ": " + result.context};
  }
  if (result.rows.size() != out.rows.size())
    return {errc::internal, name + ": " + std::to_string(result.rows.size()) + " results for "
                              + std::to_string(out.rows.size()) + " rows"};
  for (std::size_t i = 0; i < out.rows.size(); ++i)
    if (out.rows[i].draws && !result.rows[i].token)
      return {errc::internal, name + ": row " + std::to_string(i) + " drew no token"};
  return {};
}

} // namespace

void scheduler::parts::complete(const gpu::step_result& result, scheduler_events& events) {
  // Results of a device that was given up may still arrive.
  if (flights.empty() || flights.front().id != result.id)
    return;
  const auto out = std::move(flights.front());
  flights.pop_front();
  const auto [code, context] = judge(out, result);
  const auto known_tokens = events.tokens.size();
  for (std::size_t i = 0; i < out.rows.size(); ++i) {
    auto& s = *out.rows[i].owner;
    --s.steps_out;
    s.samples_out -= out.rows[i].draws;
    if (s.state == sequence_state::ended) {
      // What it drew past its end counts for nothing.
      if (s.steps_out == 0)
        bury(s);
    } else if (code != errc::none) {
      fail(s, code, context, events);
    } else {
      settle(out.rows[i], result.rows[i], events);
    }
  }
  for (auto i = known_tokens; i < events.tokens.size(); ++i)
    events.tokens[i].sampled_at = result.done_at;
}

void scheduler::parts::settle(const flight_row& row, const gpu::row_result& result, scheduler_events& events) {
  auto& s = *row.owner;
  s.done = row.end;
  if (const auto prompt = s.request.prompt_tokens; row.is_chunk && row.begin < prompt)
    counters.prompt_tokens_computed += std::min(row.end, prompt) - row.begin;
  register_full_blocks(s);
  if (has_windows())
    slide(s);
  if (s.request.mode == sequence_mode::prefill_only) {
    report_prefill(s, row.draws ? result.token : std::nullopt, events);
    return;
  }
  if (row.draws && !accept(s, *result.token, events))
    return;
  if (s.state == sequence_state::draining && s.steps_out == 0)
    requeue(s);
}

void scheduler::parts::register_full_blocks(sequence& s) {
  const auto full = s.done / config.block_tokens;
  extend_hashes(s, full);
  for (; s.full_blocks < full; ++s.full_blocks) {
    const auto tokens = std::span<const token_id>{s.tokens}.subspan(std::size_t{s.full_blocks} * config.block_tokens,
                                                                    config.block_tokens);
    s.content = pool.complete(s.table[s.full_blocks], tokens, s.hashes[s.full_blocks], s.content);
    if (has_windows())
      complete_window(s, s.content);
  }
}

bool scheduler::parts::accept(sequence& s, const sampled_token& drawn, scheduler_events& events) {
  if (std::ranges::find(s.request.stop_tokens, drawn.token) != s.request.stop_tokens.end()) {
    finish(s, finish_reason::stop, events);
    return false;
  }
  events.tokens.push_back({s.request.id, s.next_index++, drawn, std::nullopt});
  s.tokens.push_back(drawn.token);
  ++counters.output_tokens;
  if (s.length() < s.length_max)
    return true;
  finish(s, finish_reason::length, events);
  return false;
}

void scheduler::parts::report_prefill(sequence& s, const std::optional<sampled_token>& first,
                                      scheduler_events& events) {
  // The last block counts as finished with the last token, full or not.
  const auto finished = first ? static_cast<std::uint32_t>(s.table.size()) : s.done / config.block_tokens;
  if (finished > s.reported_blocks || first) {
    const auto begin = s.table.begin();
    events.prefills.push_back({s.request.id,
                               {block_run{s.reported_blocks, {begin + s.reported_blocks, begin + finished}},
                                windows_between(s, s.reported_blocks, finished)},
                               first,
                               s.cached_tokens});
    s.reported_blocks = finished;
  }
  if (first) {
    unlist(s);
    close_slot(s);
    s.state = sequence_state::holding;
    ++holding_count;
  }
}

} // namespace troupe
