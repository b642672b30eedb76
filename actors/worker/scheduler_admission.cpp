// SPDX-License-Identifier: Apache-2.0
// Which sequences are taken, and which of them hold blocks.
#include <algorithm>

#include "actors/worker/scheduler_parts.hpp"

namespace troupe {

namespace {

std::uint32_t length_max_of(const sequence_request& x, std::uint32_t context_tokens) {
  const auto length = x.tokens.size();
  if (x.mode == sequence_mode::prefill_only)
    return static_cast<std::uint32_t>(length + 1);
  const auto asked = std::uint64_t{x.prompt_tokens} + x.output_tokens_max;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(asked, context_tokens));
}

} // namespace

expected<void, error> scheduler::parts::add(sequence_request x, steady_time now) {
  const auto length = x.tokens.size();
  const auto name = "request " + std::to_string(x.id.value) + ": ";
  if (length == 0 || x.prompt_tokens == 0 || x.prompt_tokens > length)
    return troupe::fail(errc::invalid_argument, name + std::to_string(x.prompt_tokens) + " prompt tokens of "
                                                  + std::to_string(length) + " tokens");
  if (sequences.contains(x.id))
    return troupe::fail(errc::invalid_argument, name + "known already");
  // The blocks of a second landing would leave quarantine with those of the first.
  if (x.mode == sequence_mode::landing && quarantine.contains(x.id))
    x.mode = sequence_mode::aggregated;
  if (length >= config.context_tokens)
    return troupe::fail(errc::context_too_long, name + std::to_string(length) + " tokens leave no room in a context of "
                                                  + std::to_string(config.context_tokens));
  const auto length_max = length_max_of(x, config.context_tokens);
  if (length_max <= length)
    return troupe::fail(errc::invalid_argument, name + "its limit leaves no token to generate");
  // The last token that is drawn needs no KV.
  if (const auto blocks = blocks_of(length_max - 1); blocks > pool.blocks())
    return troupe::fail(errc::context_too_long,
                        name + "needs " + std::to_string(blocks) + " KV blocks of " + std::to_string(pool.blocks()));
  if (has_windows() && std::min(blocks_of(length_max - 1), window_share(config)) > windows.blocks())
    return troupe::fail(errc::context_too_long, name + "its window needs more KV blocks than the "
                                                  + std::to_string(windows.blocks()) + " of the sliding group");
  if (x.deadline <= now || x.queue_deadline <= now)
    return troupe::fail(errc::deadline_exceeded, name + "late on arrival");
  if (queued_count >= config.queued_max)
    return troupe::fail(errc::overloaded, name + std::to_string(queued_count) + " sequences wait");

  auto s = std::make_unique<sequence>();
  s->tokens = std::move(x.tokens);
  s->request = std::move(x);
  s->request.tokens.clear();
  s->arrival = ++arrivals;
  s->length_max = length_max;
  s->next_index = s->length() - s->request.prompt_tokens;
  waiting.insert(s.get());
  ++queued_count;
  sequences.emplace(s->request.id, std::move(s));
  return {};
}

void scheduler::parts::admit(std::uint32_t tokens_left, steady_time now, scheduler_events& events) {
  while (!waiting.empty()) {
    auto& s = **waiting.begin();
    if (const auto late = lateness(s, now); !late.empty()) {
      fail(s, errc::deadline_exceeded, std::string{late}, events);
      continue;
    }
    const blocked_start attempt{s.arrival,  pool.changes(),    windows.changes(), windows_claimed,
                                headroom(), window_headroom(), running.size()};
    if (attempt == blocked || !may_start(s, tokens_left))
      return;
    if (!try_start(s)) {
      blocked = attempt;
      return;
    }
    unlist(s);
    if (!s.started) {
      s.started = true;
      s.cached_tokens = std::min(s.done, s.request.prompt_tokens);
      counters.prompt_tokens_cached += s.cached_tokens;
    }
    if (s.request.mode == sequence_mode::landing) {
      s.state = sequence_state::landing;
      ++landing_count;
      events.reservations.push_back({s.request.id,
                                     {block_run{s.found_blocks, {s.table.begin() + s.found_blocks, s.table.end()}},
                                      windows_between(s, s.full_windows, blocks_of(s.length()))},
                                     s.cached_tokens});
    } else {
      run(s);
    }
  }
}

/// Blocks that are taken long before they are needed are missed by others, and prompts that start
/// together cannot share: so a prompt starts when this step has tokens for it, or nothing else prefills.
bool scheduler::parts::may_start(const sequence& s, std::uint32_t tokens_left) const {
  if (holders() >= config.running_max)
    return false;
  if (s.request.mode == sequence_mode::landing)
    return true;
  bool is_first = true;
  std::uint64_t ahead = 0;
  for (const auto* r : running) {
    if (r->left_to_prefill() == 0)
      continue;
    is_first = false;
    if (sequence_order{}(r, &s))
      ahead += std::min(r->left_to_prefill(), config.chunk_tokens_max);
  }
  return is_first || ahead < tokens_left;
}

/// Gives a sequence blocks for all its tokens: those that hold its prefix already, and fresh ones. In the sliding group
/// it has only a claim so far, unless it lands.
bool scheduler::parts::try_start(sequence& s) {
  // At least one token is left to compute, since its logits draw the next.
  const auto whole = (s.length() - 1) / config.block_tokens;
  extend_hashes(s, whole);
  auto found = pool.find(s.tokens, std::span{s.hashes}.first(whole));
  // Where it lands, the window lands, too.
  if (s.request.mode != sequence_mode::landing)
    found.resize(usable_prefix(found));
  const auto found_blocks = static_cast<std::uint32_t>(found.size());
  const auto missing = blocks_of(s.length()) - found_blocks;
  const auto idle = std::ranges::count_if(found, [&](block_id b) { return pool.references(b) == 0; });
  if (pool.free_blocks() < std::uint64_t{missing} + static_cast<std::uint64_t>(idle) + headroom())
    return false;
  const auto claim = window_claim_of(s.length());
  if (has_windows() && unclaimed_windows() < claim + window_headroom())
    return false;
  claim_windows(s, claim);
  // All held before the first is taken, so that taking cannot evict one of them.
  for (const auto b : found)
    pool.hold(b);
  s.content = found.empty() ? block_pool::root_content : pool.content(found.back());
  s.full_blocks = s.found_blocks = found_blocks;
  s.done = s.computed = found_blocks * config.block_tokens;
  s.table = std::move(found);
  for (std::uint32_t i = 0; i < missing; ++i)
    s.table.push_back(*pool.take());
  if (has_windows())
    start_windows(s, found_blocks);
  return true;
}

/// Free blocks that a start must leave: one for each sequence that may soon need its next. Without it
/// a preempted sequence would start again at once, only to be preempted again.
std::uint32_t scheduler::parts::headroom() const {
  return static_cast<std::uint32_t>(
    std::ranges::count_if(running, [](const sequence* s) { return s->request.mode != sequence_mode::prefill_only; }));
}

/// Back to where it came from, with all its tokens and none of its blocks.
/// REQUIRES: no step in flight has a row of it
void scheduler::parts::requeue(sequence& s) {
  unlist(s);
  close_slot(s);
  drop_table(s);
  s.full_blocks = s.found_blocks = 0;
  s.content = block_pool::root_content;
  s.computed = s.done = 0;
  s.prefilling = true;
  s.state = sequence_state::waiting;
  waiting.insert(&s);
}

void scheduler::parts::extend_hashes(sequence& s, std::uint32_t blocks) const {
  const std::span<const token_id> tokens{s.tokens};
  while (s.hashes.size() < blocks) {
    const auto begin = s.hashes.size() * config.block_tokens;
    const auto parent = s.hashes.empty() ? std::nullopt : std::optional{s.hashes.back()};
    s.hashes.push_back(pool.hash(parent, tokens.subspan(begin, config.block_tokens)));
  }
}

} // namespace troupe
