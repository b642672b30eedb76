// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/worker/scheduler.hpp"
#include "tests/unit/worker/model_executor.hpp"

namespace troupe::test {

/// A bound for loops that must end.
constexpr int patience = 100'000;

/// A config of small numbers: blocks of 4 tokens.
inline scheduler_config small_config(std::uint32_t blocks) {
  scheduler_config c;
  c.blocks = blocks;
  c.block_tokens = 4;
  c.context_tokens = 256;
  c.slots = c.running_max = c.rows_max = 8;
  c.step_tokens_max = c.chunk_tokens_max = 64;
  c.queued_max = 64;
  return c;
}

/// The same with a sliding group.
inline scheduler_config small_windows(std::uint32_t blocks, std::uint32_t window_tokens, std::uint32_t window_blocks) {
  auto c = small_config(blocks);
  c.window_tokens = window_tokens;
  c.window_blocks = window_blocks;
  return c;
}

/// `count` tokens; equal seeds give equal tokens.
std::vector<token_id> some_tokens(std::uint32_t count, std::uint64_t seed, std::uint32_t vocabulary = 97);

sequence_request a_request(std::uint64_t id, std::vector<token_id> prompt, std::uint32_t output_tokens_max,
                           sequence_mode mode = sequence_mode::aggregated);

/// A worker and its prefill peers without actors: a scheduler over a model_executor. Follows each
/// sequence, and keeps the first thing that is wrong in executor.fault.
class worker_double {
public:
  struct outcome {
    sequence_request request;
    std::vector<token_id> output;
    std::optional<scheduler_events::finished> finished;
    std::optional<scheduler_events::failed> failed;
    std::optional<scheduler_events::reserved> reserved;
    /// prefill_only: blocks reported as computed, and the token that came with the last.
    std::vector<block_id> pushed;
    /// Of the sliding group.
    std::vector<block_id> pushed_windows;
    std::optional<token_id> first;
    /// Step results that were in when its first token came.
    std::uint64_t first_token_at = 0;
    std::uint64_t finished_at = 0;
    bool is_over = false;
  };

  explicit worker_double(scheduler_config, toy_model = {});
  worker_double(scheduler_config, toy_model, sequence_hasher);

  expected<void, error> add(sequence_request);
  /// Submits the next step if there is one.
  bool step();
  /// Runs the oldest step in flight, if there is one, and hands its result over.
  bool complete();
  /// Hands over that the oldest step in flight failed.
  void complete_failed(gpu::errc);
  /// Steps until nothing moves. Holds what prefill_only sequences hold.
  void run();
  bool cancel(std::uint64_t id);

  /// A remote writer writes the KV of a reserved sequence's tokens, if they were missing.
  void write_landing(std::uint64_t id, std::uint32_t begin, std::uint32_t end);
  void write_landing(std::uint64_t id) { write_landing(id, 0, patience); }
  /// Tells the scheduler that the landing is complete.
  void land(std::uint64_t id, std::uint32_t cached_tokens = 0);
  void break_landing(std::uint64_t id, std::uint32_t valid_tokens, scheduler::landing_writer);
  void expire();
  void lose_device();

  /// What the sequence would say if it were alone in the world.
  std::vector<token_id> reference(std::uint64_t id) const;
  bool ends_with_stop(std::uint64_t id) const;
  outcome& of(std::uint64_t id) { return outcomes.at(id); }
  /// Takes note of events and tests the invariants.
  void absorb(const scheduler_events&);
  void check();

  steady_time now{};
  toy_model model;
  scheduler_config config;
  scheduler tested;
  model_executor executor;
  std::map<std::uint64_t, outcome> outcomes;
  std::uint64_t steps_done = 0;
  /// The last step that was submitted.
  gpu::step last_step;

private:
  outcome* living(request_id, const char* event);
  std::uint32_t first_wanted_window(std::uint32_t length) const;
  void check_kv(const outcome&, std::size_t group, const block_run&);
};

} // namespace troupe::test
