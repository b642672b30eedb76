// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "actors/worker/block_pool.hpp"
#include "actors/worker/scheduler.hpp"
#include "actors/worker/sequence.hpp"

namespace troupe {

/// What a scheduler is made of; its members are spread over scheduler_*.cpp by concern.
///
/// A sequence object lives in `sequences` until it ends, then in `ended` until no step in flight has
/// a row of it, so the pointers in `flights` are good.
struct scheduler::parts {
  /// A row of a step in flight.
  struct flight_row {
    sequence* owner = nullptr;
    /// Positions that it computes.
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    /// Prefill, for the counters: a decode's one token is none of the prompt.
    bool is_chunk = false;
    bool draws = false;
  };
  struct flight {
    step_id id;
    std::vector<flight_row> rows;
  };
  /// A step while it is being planned.
  struct draft {
    planned_step planned;
    flight out;
    std::uint32_t tokens_left = 0;
    std::uint32_t rows_left = 0;
  };
  /// Why the first waiting sequence could not start: retried only when one of these has changed.
  struct blocked_start {
    std::uint64_t arrival = 0;
    std::uint64_t pool_changes = 0;
    std::uint64_t window_changes = 0;
    std::uint32_t windows_claimed = 0;
    /// What a start must leave free, in each group.
    std::uint32_t headroom = 0;
    std::uint32_t window_headroom = 0;
    std::size_t running = 0;
    friend bool operator==(const blocked_start&, const blocked_start&) = default;
  };

  parts(scheduler_config, sequence_hasher);

  // scheduler_admission.cpp
  expected<void, error> add(sequence_request, steady_time now);
  /// Starts waiting sequences in their order, until one does not fit.
  void admit(std::uint32_t tokens_left, steady_time now, scheduler_events&);
  bool may_start(const sequence&, std::uint32_t tokens_left) const;
  bool try_start(sequence&);
  std::uint32_t headroom() const;
  void requeue(sequence&);
  void extend_hashes(sequence&, std::uint32_t blocks) const;

  // scheduler_planning.cpp
  std::optional<planned_step> next_step(steady_time now, scheduler_events&);
  void plan_decodes(draft&);
  void plan_prefills(draft&);
  std::vector<sequence*> decoders(const draft&) const;
  bool has_block_for(sequence&, std::uint32_t position);
  bool take_blocks(sequence&, std::uint32_t count);
  void preempt(sequence&);
  void add_row(draft&, sequence&, std::uint32_t count);

  // scheduler_windows.cpp
  bool has_windows() const { return config.window_tokens != 0; }
  /// The first block of the sliding group that a position sees.
  std::uint32_t first_window_block(std::uint32_t position) const;
  /// Blocks of the sliding group that nobody is sure to get.
  std::uint32_t unclaimed_windows() const;
  std::uint32_t window_headroom() const;
  /// What a sequence of so many tokens claims when it starts.
  std::uint32_t window_claim_of(std::uint32_t tokens) const;
  std::uint32_t usable_prefix(const std::vector<block_id>& found) const;
  void start_windows(sequence&, std::uint32_t found_blocks);
  bool take_windows(sequence&, std::uint32_t blocks);
  std::uint32_t reach_of_windows(const sequence&, std::uint32_t end) const;
  void claim_windows(sequence&, std::uint32_t blocks);
  void complete_window(sequence&, content_id);
  void complete_landed_windows(sequence&, std::uint32_t blocks);
  void slide(sequence&);
  void drop_windows(sequence&);
  block_run windows_between(const sequence&, std::uint32_t begin, std::uint32_t end) const;

  // scheduler_completion.cpp
  void complete(const gpu::step_result&, scheduler_events&);
  void settle(const flight_row&, const gpu::row_result&, scheduler_events&);
  void register_full_blocks(sequence&);
  /// Emits a drawn token or ends the sequence; false if it ended.
  bool accept(sequence&, const sampled_token&, scheduler_events&);
  void report_prefill(sequence&, const std::optional<sampled_token>& first, scheduler_events&);

  // scheduler_ending.cpp
  void finish(sequence&, finish_reason, scheduler_events&);
  void fail(sequence&, errc, std::string context, scheduler_events&);
  /// Forgets a sequence; it may be destroyed by that.
  void end(sequence&);
  /// Takes it out of the list of its state.
  void unlist(sequence&);
  void bury(sequence&);
  void drop_table(sequence&);
  void close_slot(sequence&);
  void expire(steady_time now, scheduler_events&);
  void fail_all(errc, const std::string& context, scheduler_events&);
  std::vector<sequence*> by_arrival() const;
  /// Which deadline has passed, or nothing.
  static std::string_view lateness(const sequence&, steady_time now);

  // scheduler_landing.cpp
  void landed(request_id, const sampled_token& first, std::uint32_t cached_tokens, scheduler_events&);
  void landing_broken(request_id, std::uint32_t valid_tokens, landing_writer);
  void release_landing(request_id);
  void quarantine_missing(sequence&);
  sequence* find_landing(request_id) const;

  // scheduler.cpp
  void run(sequence&);
  std::uint32_t blocks_of(std::uint64_t tokens) const;
  std::size_t holders() const { return running.size() + landing_count + holding_count; }
  scheduler_load load() const;

  // scheduler_check.cpp
  std::optional<std::string> check() const;
  std::optional<std::string> check_blocks() const;
  std::optional<std::string> check_windows(const sequence&) const;
  std::optional<std::string> check_sequence(const sequence&) const;
  std::optional<std::string> check_flights() const;

  scheduler_config config;
  /// The full group.
  block_pool pool;
  /// The sliding group. The key of a block is the content of the full group's block of the same tokens.
  block_ledger windows;
  /// What sequences are sure to get of it, together.
  std::uint32_t windows_claimed = 0;
  std::unordered_map<request_id, std::unique_ptr<sequence>> sequences;
  /// Those with rows in flight only.
  std::vector<std::unique_ptr<sequence>> ended;
  std::set<sequence*, sequence_order> waiting;
  /// Running and draining ones, in their order.
  std::vector<sequence*> running;
  std::uint32_t landing_count = 0;
  std::uint32_t holding_count = 0;
  /// Waiting ones that never started: what queued_max bounds.
  std::uint32_t queued_count = 0;
  std::deque<flight> flights;
  std::vector<slot_id> free_slots;
  /// Closes that go out with the next step.
  std::vector<slot_id> closes;
  /// Blocks of each group that a writer may still write into, by the sequence that they were reserved for.
  struct quarantined {
    std::vector<block_id> blocks;
    std::vector<block_id> windows;
  };
  std::unordered_map<request_id, quarantined> quarantine;
  blocked_start blocked;
  std::uint64_t arrivals = 0;
  std::uint64_t last_step = 0;
  scheduler_counters counters;
};

} // namespace troupe
