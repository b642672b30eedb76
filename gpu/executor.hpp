// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gpu/errc.hpp"
#include "messages/ids.hpp"
#include "messages/region.hpp"
#include "messages/request/sampled_token.hpp"
#include "messages/request/sampling_options.hpp"

namespace troupe::gpu {

/// Which tokens a cache group keeps. Latent and state groups follow with their first model.
enum class group_kind : std::uint8_t {
  /// All of a sequence.
  full,
  /// Those that the next token sees through a window: blocks before it are given away.
  sliding,
};

/// Most cache groups of a model. The first is the full one; a sliding one may follow.
inline constexpr std::size_t groups_max = 2;

/// Index of the first block that the token at `position` sees through a window of `window_tokens`, itself included;
/// 0: it sees all before it.
constexpr std::uint32_t first_visible_block(std::uint32_t position, std::uint32_t window_tokens,
                                            std::uint32_t block_tokens) {
  return window_tokens == 0 || position < window_tokens ? 0 : (position + 1 - window_tokens) / block_tokens;
}

/// Bytes between neighbours in a block.
struct kv_strides {
  std::uint64_t layer = 0;
  std::uint64_t head = 0;
  std::uint64_t token = 0;
  std::uint64_t dim = 0;
};

/// One pool of KV blocks inside an executor. The layout is data: no caller assumes it.
/// A block holds block_tokens tokens of all `layers` layers, a kv head's keys and its values being contiguous.
struct cache_group {
  group_kind kind = group_kind::full;
  /// Of a sliding group: tokens that a token sees, itself included; the most of its layers. 0 in a full group.
  std::uint32_t window_tokens = 0;
  std::uint16_t layers = 0;
  std::uint16_t block_tokens = 0;
  std::uint64_t block_bytes = 0;
  /// How many blocks there are, numbered from 0; block b starts at b × block_bytes of kv_memory().
  std::uint32_t blocks = 0;
  kv_strides keys, values;
  /// Of a block's first value; its first key is at 0.
  std::uint64_t values_offset = 0;

  /// The first block that computing `position` reads or writes.
  std::uint32_t first_block(std::uint32_t position) const {
    return first_visible_block(position, window_tokens, block_tokens);
  }
};

/// What an executor is and what it takes. Constant during its life.
struct executor_info {
  model_fingerprint fingerprint;
  /// Equal numerics and fingerprint: equal tokens give equal bits.
  numerics_id numerics;
  /// For logs and metrics, e.g. "host/avx2" or "mock".
  std::string description;
  /// At most groups_max, the first one full, all with the same block_tokens.
  std::vector<cache_group> groups;
  std::uint32_t vocabulary = 0;
  std::uint32_t context_tokens = 0;
  /// Bounds of one step.
  std::uint32_t rows_max = 0;
  std::uint32_t tokens_max = 0;
  std::uint32_t steps_in_flight_max = 0;
  /// Slots are numbered from 0 to slots_max - 1.
  std::uint32_t slots_max = 0;
};

/// The token that a row of an earlier step draws: lets step k+1 be submitted before k's tokens are back.
struct sampled_by {
  step_id step;
  std::uint32_t row = 0;
};

/// What a row is computed for.
enum class row_want : std::uint8_t {
  /// Only its KV (a prefill chunk that is not the last).
  none,
  /// A token drawn from the logits of its last position.
  sample,
};

/// A range of step::blocks.
struct block_range {
  std::uint32_t begin = 0;
  std::uint32_t count = 0;
};

/// A run of consecutive positions of one sequence: a prefill chunk, or one token of a decode.
struct row {
  slot_id slot;
  /// Position of the first input token; KV of all earlier positions that it sees is in the blocks of the tables.
  std::uint32_t position = 0;
  /// Input tokens, as a range of step::tokens. Empty if `from` is set.
  std::uint32_t tokens_begin = 0;
  std::uint32_t tokens_count = 0;
  /// The one input token is drawn by this row of a step in flight.
  std::optional<sampled_by> from;
  /// Block table of each cache group: entry i holds the positions i × block_tokens and following, up to this row's
  /// last position. Entries before the group's first_block(position) are no_block or anything else: they are not read.
  std::array<block_range, groups_max> tables{};
  row_want want = row_want::none;
};

/// One batch for the device: prefill chunks and decodes mixed. Flat arrays, so that a step is three
/// allocations however many rows it has.
struct step {
  step_id id;
  std::vector<row> rows;
  std::vector<token_id> tokens;
  std::vector<block_id> blocks;

  /// Number of token positions that it computes.
  std::uint32_t computed_tokens() const;
  std::span<const token_id> tokens_of(const row& r) const {
    return std::span{tokens}.subspan(r.tokens_begin, r.tokens_count);
  }
  std::span<const block_id> blocks_of(const row& r, std::size_t group) const {
    return std::span{blocks}.subspan(r.tables[group].begin, r.tables[group].count);
  }
};

/// One per row of the step, in its order; `token` only for rows that wanted a sample.
struct row_result {
  std::optional<sampled_token> token;
  /// XXH3-64 of the row's logits as little-endian f32, if the executor was made to hash them; else 0.
  std::uint64_t logits_hash = 0;
};

struct step_result {
  step_id id;
  /// errc::none, or why no row of the step has a result.
  errc code = errc::none;
  std::string context;
  std::vector<row_result> rows;
  /// Time that the device computed, without queueing.
  std::chrono::nanoseconds computed{};
  /// When the executor reported it; set by its device.
  std::chrono::steady_clock::time_point done_at{};
};

/// One model on one device, or one rank group seen as one. No CAF, no request, no policy.
///
/// Called by its device actor only. submit, open and close never block; inputs are copied (moved)
/// before return; completions come in order of submission through on_done, from any thread. Ends with
/// its destructor, which waits for the step that runs and completes the others with device_lost.
class executor {
public:
  virtual ~executor() = default;

  virtual const executor_info& info() const = 0;

  /// Called for every submitted step exactly once. Set once, before the first submit.
  virtual void on_done(std::function<void(step_result)>) = 0;

  /// Prepares a slot for a sequence. `history` is all of its tokens so far, of which the first
  /// `prompt_tokens` are its prompt: penalties and the generator survive preemption and migration.
  /// Ordered with submit. Re-opening an open slot replaces it.
  virtual errc open(slot_id, const sampling_options&, std::span<const token_id> history,
                    std::uint32_t prompt_tokens) = 0;
  /// Forgets a slot; ordered with submit, so steps in flight still see it.
  virtual void close(slot_id) = 0;

  /// errc::full beyond steps_in_flight_max, errc::invalid_step beyond a bound; then there is no completion.
  virtual errc submit(step) = 0;

  /// The memory of a cache group, for transport registration. Valid until the executor ends.
  virtual region_view kv_memory(std::size_t group) = 0;
};

} // namespace troupe::gpu
