// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "actors/worker/block_pool.hpp"
#include "gpu/executor.hpp"
#include "messages/errc.hpp"
#include "messages/ids.hpp"
#include "messages/request/finish_reason.hpp"
#include "messages/request/sampled_token.hpp"
#include "messages/request/sampling_options.hpp"
#include "messages/request/usage.hpp"

namespace troupe {

using steady_time = std::chrono::steady_clock::time_point;

/// Bounds of one scheduler. The executor's own bounds (rows, tokens, slots) cap them further.
struct scheduler_config {
  /// Of the full cache group.
  std::uint32_t blocks = 0;
  std::uint32_t block_tokens = 16;
  /// Of the sliding cache group: tokens that a token sees, and blocks. 0: there is none.
  std::uint32_t window_tokens = 0;
  std::uint32_t window_blocks = 0;
  std::uint32_t context_tokens = 0;
  std::uint32_t slots = 64;
  /// Token positions of one step, decodes and prefill chunks together.
  std::uint32_t step_tokens_max = 512;
  /// Prompt tokens of one sequence in one step.
  std::uint32_t chunk_tokens_max = 512;
  /// Rows of one step.
  std::uint32_t rows_max = 64;
  /// Sequences that hold blocks: running, landing, or prefilled and being pushed.
  std::uint32_t running_max = 64;
  /// Sequences that wait and never started; one more is refused. Preempted ones wait, too, but do not count.
  std::uint32_t queued_max = 256;
  std::uint32_t steps_in_flight_max = 2;
};

/// Blocks of the sliding group that a sequence may always have, short ones less: as many as one token in each step in
/// flight sees. What a prefill chunk needs beyond them it takes if they are free, and is cut if not.
constexpr std::uint32_t window_share(const scheduler_config& c) {
  return blocks_for(std::uint64_t{c.window_tokens} + c.steps_in_flight_max - 2, c.block_tokens) + 1;
}

/// Blocks of the sliding group with which nothing ever waits for one: the share of each sequence, and whole chunks. As
/// many as the full group has do as well, since a sequence holds no more of these than of those.
constexpr std::uint64_t window_blocks_max(const scheduler_config& c) {
  return std::uint64_t{window_share(c)} * c.running_max
         + std::uint64_t{blocks_for(c.step_tokens_max, c.block_tokens)} * c.steps_in_flight_max;
}

/// Where a sequence's prompt is prefilled, and what becomes of it after.
enum class sequence_mode : std::uint8_t {
  /// Prefill and decode here.
  aggregated,
  /// Its prompt's KV lands from a prefill worker; decode here.
  landing,
  /// Prefill here, sample the first token, then hold the blocks until release().
  prefill_only,
};

/// A sequence as its worker hands it over.
struct sequence_request {
  request_id id;
  /// Prompt, then the tokens that were emitted before (after a migration); never empty.
  std::vector<token_id> tokens;
  std::uint32_t prompt_tokens = 0;
  /// Counted from prompt_tokens, so tokens emitted before count.
  std::uint32_t output_tokens_max = 0;
  sampling_options sampling;
  /// Tokens that end the generation; the token itself is not reported.
  std::vector<token_id> stop_tokens;
  /// Lower is sooner; equal ones by arrival.
  std::int32_t priority = 0;
  steady_time deadline = steady_time::max();
  /// Past this it is failed if it was never started.
  steady_time queue_deadline = steady_time::max();
  sequence_mode mode = sequence_mode::aggregated;
};

/// Executor calls in the order in which they must be made: closes, opens, then submit.
struct planned_step {
  struct slot_open {
    slot_id slot;
    sampling_options sampling;
    std::vector<token_id> history;
    std::uint32_t prompt_tokens = 0;
  };
  std::vector<slot_id> closes;
  std::vector<slot_open> opens;
  gpu::step step;
};

/// Consecutive entries of a block table.
struct block_run {
  std::uint32_t first_block = 0;
  std::vector<block_id> blocks;

  std::uint32_t end() const { return first_block + static_cast<std::uint32_t>(blocks.size()); }
};
/// One per cache group; without a sliding group the second is empty.
using block_runs = std::array<block_run, gpu::groups_max>;

/// What happened to sequences, in order within each list.
struct scheduler_events {
  struct token {
    request_id id;
    /// Position within the output, from 0.
    std::uint32_t index = 0;
    sampled_token sampled;
    /// When its step was done here; nothing for a token that came with a landing.
    std::optional<steady_time> sampled_at;
  };
  struct finished {
    request_id id;
    finish_reason reason = finish_reason::none;
    troupe::usage usage;
  };
  struct failed {
    request_id id;
    errc code = errc::none;
    std::string context;
  };
  /// A landing sequence has its blocks: ask a prefill worker to fill those that are missing, to the prompt's end. In
  /// the full group that is at least one, since at least one token is left to compute; what is before them is valid
  /// already (prefix hit). In the sliding group only what the next token sees is wanted.
  struct reserved {
    request_id id;
    block_runs missing;
    std::uint32_t cached_tokens = 0;
  };
  /// Blocks of a prefill_only sequence that are computed to their end now; the last block of the prompt counts as
  /// computed when its last prompt token is. Of the sliding group only those that the token after the prompt sees.
  struct computed {
    request_id id;
    block_runs blocks;
    /// Set with the last range: the token that the last prompt position drew.
    std::optional<sampled_token> first_token;
    std::uint32_t cached_tokens = 0;
  };

  std::vector<token> tokens;
  std::vector<finished> finishes;
  std::vector<failed> failures;
  std::vector<reserved> reservations;
  std::vector<computed> prefills;
};

/// How loaded a worker is, for reports and metrics.
struct scheduler_load {
  struct group {
    std::uint32_t blocks = 0;
    /// Blocks with a reference count of zero (cached ones included).
    std::uint32_t free_blocks = 0;
    std::uint32_t quarantined_blocks = 0;
  };
  /// One per cache group; without a sliding group the second has no blocks.
  std::array<group, gpu::groups_max> groups;
  /// The group of which the smallest part is free.
  const group& tightest() const;
  std::uint32_t running = 0;
  std::uint32_t landing = 0;
  std::uint32_t queued = 0;
  /// Prompt tokens that wait for prefill here.
  std::uint32_t prefill_tokens = 0;
};

/// Counters since the start.
struct scheduler_counters {
  std::uint64_t steps = 0;
  /// Steps with at least one decode row.
  std::uint64_t decode_steps = 0;
  std::uint64_t prompt_tokens_computed = 0;
  std::uint64_t prompt_tokens_cached = 0;
  std::uint64_t output_tokens = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t refused = 0;
};

/// Continuous batching over one executor: admission, chunked prefill under a token budget, decode,
/// prefix sharing, preemption by recompute. One class serves prefill, decode and aggregated workers.
///
/// Pure: no clock, no executor, no actor. Its worker asks for next_step() while steps are not at
/// their limit, hands results to complete(), and acts on the events. Every add() that succeeded ends in
/// exactly one `finished` or `failed`, or in cancel(), or (prefill_only) in a `computed` with its
/// first token and then release().
///
/// Invariants, checked by check():
/// 1. In each cache group free + held + quarantined blocks = all blocks; a block's reference count is the number of
///    tables that name it.
/// 2. A block that a step in flight reads or writes, or that a landing may still write, is not
///    given to another sequence.
/// 3. A sequence holds the blocks of the sliding group that its next position, and each one in a step in flight, sees,
///    and none that they do not see. What sequences are sure to get of them is there.
/// 4. Output indices of a sequence are 0, 1, 2, … without gap or repeat, across preemptions.
class scheduler {
public:
  explicit scheduler(scheduler_config);
  /// With another hash of token blocks than the usual one: tests use a poor one.
  scheduler(scheduler_config, sequence_hasher);
  ~scheduler();
  scheduler(scheduler&&) noexcept;
  scheduler& operator=(scheduler&&) noexcept;

  /// errc::overloaded at queued_max; errc::context_too_long if it can never fit context or pool;
  /// errc::invalid_argument for an empty or already known sequence, or one with no token left to generate;
  /// errc::deadline_exceeded if it is late already. The context's end cuts an output; the pool's end refuses it.
  /// A landing whose namesake's blocks are in quarantine is prefilled here instead.
  expected<void, error> add(sequence_request, steady_time now);

  /// Forgets a sequence, whatever its state; its blocks are free once no step in flight uses them. No
  /// event follows. A landing sequence's blocks go into quarantine first, until release_landing().
  /// False if it is not known (any more).
  [[nodiscard]] bool cancel(request_id);

  /// The next batch, or nothing if nothing can run now or steps_in_flight_max are out. Also reserves
  /// blocks for landing sequences, in the same order of priority and arrival as the others.
  std::optional<planned_step> next_step(steady_time now, scheduler_events& events);

  /// The result of a step, in order of submission; that of an unknown step is ignored. A failed step
  /// fails its sequences.
  void complete(const gpu::step_result&, scheduler_events& events);

  /// The KV of a landing sequence is complete and verified; `first` is the token that its prefill
  /// worker drew. It runs from the next step on.
  void landed(request_id, const sampled_token& first, std::uint32_t cached_tokens, scheduler_events& events);

  /// The landing failed, or some blocks did not verify: of what was missing, only blocks of the first `valid_tokens`
  /// tokens of the prompt may be read. The sequence is prefilled here. The blocks beyond go into quarantine
  /// until release_landing(); unless `writer` is fenced already.
  enum class landing_writer : std::uint8_t { may_still_write, fenced };
  void landing_broken(request_id, std::uint32_t valid_tokens, landing_writer writer);

  /// The writer of a broken or cancelled landing can write no more: its blocks leave quarantine.
  void release_landing(request_id);

  /// Ends a prefill_only sequence after its blocks were pushed: they stay shareable prefix until they are
  /// evicted. After cancel(), a failure or a deadline they may be given away at once, pushes under way or not.
  void release(request_id);

  /// Fails what is past its deadline, or its queue deadline while it never started.
  void expire(steady_time now, scheduler_events& events);

  /// Fails every sequence (the device is gone). Blocks of landings stay in quarantine. Steps in flight count
  /// as gone too, nothing is cached any more, and all slots are taken for closed.
  void fail_all(errc, const std::string& context, scheduler_events& events);

  bool idle() const; ///< no sequence and no step in flight
  std::uint32_t steps_in_flight() const;
  scheduler_load load() const;
  const scheduler_counters& counters() const;

  /// Tests the invariants above; returns a sentence about the first that is broken, or nothing.
  std::optional<std::string> check() const;

  /// Its parts; defined in scheduler_parts.hpp, for its own source files.
  struct parts;

private:
  std::unique_ptr<parts> parts_;
};

} // namespace troupe
