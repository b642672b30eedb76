// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <future>
#include <span>
#include <vector>

#include "gpu/executor.hpp"

namespace troupe::test {

/// A sequence as a worker would keep it.
struct driven_sequence {
  slot_id slot;
  sampling_options options;
  /// Prompt and everything drawn since.
  std::vector<token_id> tokens;
  std::uint32_t prompt_tokens = 0;
  /// Positions whose KV is in the blocks.
  std::uint32_t computed = 0;
  std::vector<block_id> blocks;
  /// Hash of the logits that each drawn token came from.
  std::vector<std::uint64_t> hashes;

  std::span<const token_id> output() const { return std::span{tokens}.subspan(prompt_tokens); }
};

/// Drives an executor step by step, waiting for each: the smallest worker there is. Blocks are handed out
/// in a scattered order, so that nothing works only because they lie side by side.
class executor_driver {
public:
  /// One for an executor's life: step ids go on ascending.
  explicit executor_driver(gpu::executor&);

  gpu::executor& executor() { return executor_; }

  /// Opens a slot of its own with `prompt`.
  driven_sequence start(std::vector<token_id> prompt, const sampling_options& options);
  /// Throws the sequence's KV away and opens its slot anew, as after a preemption.
  void restart(driven_sequence&);
  /// Takes over a sequence that another executor computed: its tokens so far, and blocks for its KV,
  /// which the caller fills.
  driven_sequence adopt(const driven_sequence&);
  /// Closes the slot and takes the blocks back.
  void finish(driven_sequence&);

  /// One step over those sequences, each with up to `chunk` of its tokens that are not in the KV yet; a
  /// sequence whose last token is among them draws the next one. Its result has already been checked for errc::none.
  void advance(std::span<driven_sequence* const>, std::uint32_t chunk);

  /// advance() until each has `count` tokens of output.
  void generate(std::span<driven_sequence* const>, std::uint32_t count, std::uint32_t chunk);
  void generate(driven_sequence& sequence, std::uint32_t count, std::uint32_t chunk) {
    driven_sequence* one[] = {&sequence};
    generate(one, count, chunk);
  }

  /// Submits (with the next id) and waits.
  gpu::step_result run(gpu::step);

  /// Adds the row of a sequence's next tokens to a step, and blocks to the sequence as needed.
  void add_row(gpu::step&, driven_sequence&, std::uint32_t count);

private:
  block_id take_block();

  gpu::executor& executor_;
  std::promise<gpu::step_result> done_;
  std::uint64_t last_step_ = 0;
  std::vector<slot_id> free_slots_;
  std::vector<block_id> free_blocks_;
};

/// Temperature 0.
sampling_options greedy();

} // namespace troupe::test
