// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/worker/worker_double.hpp"

#include <algorithm>
#include <random>

#include "actors/worker/sequence_hash.hpp"

namespace troupe::test {

std::vector<token_id> some_tokens(std::uint32_t count, std::uint64_t seed, std::uint32_t vocabulary) {
  std::mt19937_64 random{seed};
  std::vector<token_id> tokens(count);
  for (auto& t : tokens)
    t = static_cast<token_id>(random() % vocabulary);
  return tokens;
}

sequence_request a_request(std::uint64_t id, std::vector<token_id> prompt, std::uint32_t output_tokens_max,
                           sequence_mode mode) {
  sequence_request r;
  r.id = request_id{id};
  r.prompt_tokens = static_cast<std::uint32_t>(prompt.size());
  r.tokens = std::move(prompt);
  r.output_tokens_max = output_tokens_max;
  r.mode = mode;
  return r;
}

worker_double::worker_double(scheduler_config c, toy_model m) : worker_double{c, m, sequence_hash} {}

worker_double::worker_double(scheduler_config c, toy_model m, sequence_hasher hasher)
  : model{m}, config{c}, tested{c, hasher}, executor{c, m} {}

expected<void, error> worker_double::add(sequence_request r) {
  auto added = tested.add(r, now);
  if (added) {
    outcome o;
    o.request = std::move(r);
    const auto& x = o.request;
    o.output.assign(x.tokens.begin() + x.prompt_tokens, x.tokens.end());
    outcomes.insert_or_assign(x.id.value, std::move(o));
  }
  check();
  return added;
}

bool worker_double::step() {
  scheduler_events events;
  auto planned = tested.next_step(now, events);
  absorb(events);
  if (!planned)
    return false;
  const auto& s = planned->step;
  if (s.rows.empty() || s.rows.size() > config.rows_max || s.computed_tokens() > config.step_tokens_max)
    executor.fail("a step is empty or larger than its bounds");
  for (const auto& r : s.rows)
    if (r.tokens_count > config.chunk_tokens_max)
      executor.fail("a chunk is larger than its bound");
  last_step = s;
  executor.submit(*planned);
  if (executor.in_flight() > config.steps_in_flight_max || executor.in_flight() != tested.steps_in_flight())
    executor.fail("steps in flight are miscounted");
  return true;
}

bool worker_double::complete() {
  if (executor.in_flight() == 0)
    return false;
  ++steps_done;
  scheduler_events events;
  tested.complete(executor.run(), events);
  absorb(events);
  return true;
}

void worker_double::complete_failed(gpu::errc code) {
  auto result = executor.run();
  result.code = code;
  result.rows.clear();
  scheduler_events events;
  tested.complete(result, events);
  absorb(events);
}

void worker_double::run() {
  for (int i = 0; i < patience; ++i) {
    while (step()) {
    }
    if (!complete())
      return;
  }
  executor.fail("it does not come to an end");
}

bool worker_double::cancel(std::uint64_t id) {
  const bool known = tested.cancel(request_id{id});
  if (const auto o = outcomes.find(id); o != outcomes.end()) {
    if (known == o->second.is_over)
      executor.fail("cancel() does not know who is there");
    o->second.is_over = true;
  }
  check();
  return known;
}

void worker_double::write_landing(std::uint64_t id, std::uint32_t begin, std::uint32_t end) {
  const auto& o = of(id);
  const auto& tokens = o.request.tokens;
  end = std::min(end, static_cast<std::uint32_t>(tokens.size()));
  for (std::size_t group = 0; group < executor.groups(); ++group) {
    const auto& missing = o.reserved->missing[group];
    for (auto p = std::max(begin, missing.first_block * config.block_tokens); p < end; ++p)
      executor.write(group, missing.blocks.at(p / config.block_tokens - missing.first_block), p % config.block_tokens,
                     tokens[p], p);
  }
}

void worker_double::land(std::uint64_t id, std::uint32_t cached_tokens) {
  scheduler_events events;
  const auto first = model.next(of(id).request.tokens);
  tested.landed(request_id{id}, {first, -0.5f, {}}, cached_tokens, events);
  absorb(events);
}

void worker_double::break_landing(std::uint64_t id, std::uint32_t valid_tokens, scheduler::landing_writer writer) {
  tested.landing_broken(request_id{id}, valid_tokens, writer);
  check();
}

void worker_double::expire() {
  scheduler_events events;
  tested.expire(now, events);
  absorb(events);
}

void worker_double::lose_device() {
  executor.lose();
  scheduler_events events;
  tested.fail_all(errc::device_failed, "it is gone", events);
  absorb(events);
}

std::vector<token_id> worker_double::reference(std::uint64_t id) const {
  const auto& r = outcomes.at(id).request;
  auto tokens = r.tokens;
  while (tokens.size() < r.prompt_tokens + std::size_t{r.output_tokens_max} && tokens.size() < config.context_tokens) {
    const auto next = model.next(tokens);
    if (std::ranges::find(r.stop_tokens, next) != r.stop_tokens.end())
      break;
    tokens.push_back(next);
  }
  return {tokens.begin() + r.prompt_tokens, tokens.end()};
}

bool worker_double::ends_with_stop(std::uint64_t id) const {
  const auto& r = outcomes.at(id).request;
  const auto length = r.prompt_tokens + reference(id).size();
  return length < r.prompt_tokens + std::size_t{r.output_tokens_max} && length < config.context_tokens;
}

/// Of the sliding group: the first block that the token after so many sees.
std::uint32_t worker_double::first_wanted_window(std::uint32_t length) const {
  return length < config.window_tokens ? 0 : (length - config.window_tokens + 1) / config.block_tokens;
}

worker_double::outcome* worker_double::living(request_id id, const char* event) {
  const auto found = outcomes.find(id.value);
  if (found == outcomes.end() || found->second.is_over) {
    executor.fail(std::string{"a "} + event + " event of a sequence that is over or unknown");
    return nullptr;
  }
  return &found->second;
}

/// Blocks that are said to hold a sequence's tokens do so.
void worker_double::check_kv(const outcome& o, std::size_t group, const block_run& run) {
  const auto& tokens = o.request.tokens;
  for (std::uint32_t i = 0; i < run.blocks.size() * config.block_tokens; ++i) {
    const auto p = run.first_block * config.block_tokens + i;
    if (p >= tokens.size())
      return;
    const auto& c = executor.at(group, run.blocks[i / config.block_tokens], i % config.block_tokens);
    if (!c.is_written || c.token != tokens[p] || c.position != p)
      return executor.fail("a block that is said to be computed holds something else");
  }
}

void worker_double::absorb(const scheduler_events& events) {
  for (const auto& e : events.tokens)
    if (auto* o = living(e.id, "token")) {
      if (e.index != o->output.size())
        executor.fail("an output index has a gap or a repeat");
      if (o->output.size() == o->request.tokens.size() - o->request.prompt_tokens)
        o->first_token_at = steps_done;
      o->output.push_back(e.sampled.token);
    }
  for (const auto& e : events.reservations)
    if (auto* o = living(e.id, "reserved")) {
      const auto length = static_cast<std::uint32_t>(o->request.tokens.size());
      if (o->reserved || e.missing[0].blocks.empty())
        executor.fail("a reservation is repeated, or has nothing to fill");
      for (std::size_t group = 0; group < executor.groups(); ++group) {
        if (e.missing[group].end() != blocks_for(length, config.block_tokens))
          executor.fail("a reservation does not reach the prompt's end");
        for (const auto b : e.missing[group].blocks)
          if (executor.is_used(group, b))
            executor.fail("a block is reserved that a step in flight uses");
      }
      o->reserved = e;
    }
  for (const auto& e : events.prefills)
    if (auto* o = living(e.id, "computed")) {
      const auto& [full, sliding] = e.blocks;
      if (full.first_block != o->pushed.size() || o->first)
        executor.fail("computed ranges have a gap or a repeat");
      check_kv(*o, 0, full);
      check_kv(*o, 1, sliding);
      o->pushed.insert(o->pushed.end(), full.blocks.begin(), full.blocks.end());
      o->pushed_windows.insert(o->pushed_windows.end(), sliding.blocks.begin(), sliding.blocks.end());
      if (!e.first_token)
        continue;
      o->first = e.first_token->token;
      const auto length = static_cast<std::uint32_t>(o->request.tokens.size());
      if (executor.groups() > 1
          && o->pushed_windows.size() != blocks_for(length, config.block_tokens) - first_wanted_window(length))
        executor.fail("what is pushed of the sliding group is not what the next token sees");
    }
  for (const auto& e : events.finishes)
    if (auto* o = living(e.id, "finished")) {
      o->is_over = true;
      o->finished = e;
      o->finished_at = steps_done;
    }
  for (const auto& e : events.failures)
    if (auto* o = living(e.id, "failed")) {
      o->is_over = true;
      o->failed = e;
    }
  check();
}

void worker_double::check() {
  if (auto broken = tested.check())
    executor.fail(std::move(*broken));
}

} // namespace troupe::test
