// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "gpu/executor.hpp"

namespace troupe::test {

/// What executors computed for one sequence.
struct sequence_log {
  std::vector<token_id> prompt;
  /// Hash of the logits of each row that drew a token, by the position of the row's last input token.
  std::map<std::uint32_t, std::uint64_t> hashes;
};

/// What a set of executors computed. Sequences are told apart by their seed, so the requests of a test
/// have seeds of their own, greedy ones too.
struct logit_record {
  std::map<std::uint64_t, sequence_log> sequences;
  /// Positions that were computed twice with other bits, and seeds that came with another prompt.
  std::uint32_t contradictions = 0;
  /// Sequences that were opened with tokens beyond their prompt.
  std::set<std::uint64_t> resumed;
  /// Largest steps: rows that drew a token, and the tokens of one row.
  std::uint32_t drawing_rows_max = 0;
  std::uint32_t row_tokens_max = 0;
};

/// Collects the records of executors on several threads.
class logit_log {
public:
  /// The record since the last call.
  logit_record take();

  void note_open(std::uint64_t seed, std::span<const token_id> history, std::uint32_t prompt_tokens);
  void note_step(const gpu::step&);
  void note_hash(std::uint64_t seed, std::uint32_t position, std::uint64_t hash);

private:
  std::mutex mutex_;
  logit_record record_;
};

/// An executor that tells a log whose logits its rows were. The one inside hashes them.
class logged_executor final : public gpu::executor {
public:
  logged_executor(std::unique_ptr<gpu::executor> inner, std::shared_ptr<logit_log> log);

  const gpu::executor_info& info() const override { return inner_->info(); }
  void on_done(std::function<void(gpu::step_result)>) override;
  gpu::errc open(slot_id, const sampling_options&, std::span<const token_id> history,
                 std::uint32_t prompt_tokens) override;
  void close(slot_id slot) override { inner_->close(slot); }
  gpu::errc submit(gpu::step) override;
  region_view kv_memory(std::size_t group) override { return inner_->kv_memory(group); }

private:
  /// Whose logits a row has; nothing if it draws no token.
  struct row_owner {
    std::uint64_t seed = 0;
    std::uint32_t position = 0;
  };
  using step_owners = std::vector<std::optional<row_owner>>;

  step_owners owners_of(const gpu::step&) const;
  void note_result(const gpu::step_result&);

  std::shared_ptr<logit_log> log_;
  std::map<slot_id, std::uint64_t> seeds_;
  std::mutex mutex_;
  std::deque<step_owners> in_flight_;
  // Last, so that it ends first: its destructor may still report steps.
  std::unique_ptr<gpu::executor> inner_;
};

} // namespace troupe::test
