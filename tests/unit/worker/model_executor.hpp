// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/worker/scheduler.hpp"

namespace troupe::test {

/// A model whose next token is a pure function of its history.
struct toy_model {
  std::uint32_t vocabulary = 97;
  std::uint64_t salt = 0;

  token_id next(const std::vector<token_id>& history) const;
};

/// Runs planned steps like a device, in order, when the test says so, on a KV store that remembers
/// what was written where. A row's token is computed from what its block table *holds*, and every
/// position of it, in the sliding group those that it sees, is compared with what the sequence's history says; the
/// first difference is kept in `fault`. Also keeps the books of slots, of inputs drawn by earlier rows, and of blocks
/// in use.
class model_executor {
public:
  struct cell {
    token_id token = 0;
    std::uint32_t position = 0;
    bool is_written = false;
  };

  /// With the cache groups of that scheduler.
  model_executor(const scheduler_config&, toy_model);

  void submit(const planned_step&);
  /// Computes the oldest step in flight. REQUIRES: in_flight() > 0
  gpu::step_result run();
  std::size_t in_flight() const { return queue_.size(); }
  /// Steps in flight are gone, and so is everything in memory.
  void lose();

  /// What a remote writer, or a check of one, does to a block; at once, whatever is in flight.
  void write(std::size_t group, block_id, std::uint32_t offset, token_id, std::uint32_t position);
  const cell& at(std::size_t group, block_id b, std::uint32_t offset) const;
  /// Whether a step in flight reads or writes it.
  bool is_used(std::size_t group, block_id) const;
  std::size_t groups() const { return cells_.size(); }
  void fail(std::string what);

  std::optional<std::string> fault;
  std::uint64_t rows_computed = 0;

private:
  struct slot_state {
    bool is_open = false;
    /// Which opening of the slot this is: a row belongs to one.
    std::uint64_t opening = 0;
    std::vector<token_id> history;
  };
  struct queued {
    gpu::step step;
    std::vector<std::uint64_t> openings;
  };
  using owner = std::pair<std::uint32_t, std::uint64_t>;

  void check_row(const gpu::step&, const gpu::row&, owner);
  void check_table(std::size_t group, const gpu::step&, const gpu::row&, owner);
  std::uint32_t first_block(std::size_t group, std::uint32_t position) const;
  token_id compute(const gpu::step&, const gpu::row&, std::vector<token_id>& history);

  std::uint32_t block_tokens_;
  std::uint32_t window_tokens_;
  toy_model model_;
  /// Of each group.
  std::vector<std::vector<cell>> cells_;
  std::vector<slot_state> slots_;
  std::deque<queued> queue_;
  /// History of each opening that has rows or is open.
  std::map<owner, std::vector<token_id>> histories_;
  std::uint64_t openings_ = 0;
  /// What rows of recent steps drew.
  std::map<std::pair<std::uint64_t, std::uint32_t>, token_id> drawn_;
};

} // namespace troupe::test
