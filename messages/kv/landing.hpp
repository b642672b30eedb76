// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "messages/ids.hpp"
#include "messages/request/sampled_token.hpp"
#include "messages/request/sampling_options.hpp"

namespace troupe {

/// Where a decode worker wants the blocks of one cache group.
struct kv_landing_group {
  /// What the decode side's endpoint made for the prefill side's; opaque.
  std::string region;
  std::uint64_t block_bytes = 0;
  /// Destination of block i of the prompt, for i from first_block on to its end. Earlier ones are there already or, in
  /// a sliding group, not seen by the token after the prompt.
  std::uint32_t first_block = 0;
  std::vector<block_id> blocks;

  friend bool operator==(const kv_landing_group&, const kv_landing_group&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, kv_landing_group& x) {
  return f.object(x).fields(f.field("region", x.region), f.field("block_bytes", x.block_bytes),
                            f.field("first_block", x.first_block), f.field("blocks", x.blocks));
}

/// Where a decode worker wants the KV of a prompt: the only blocks that its prefill peer may write.
struct kv_landing {
  /// The decode side's.
  transport_peer endpoint;
  /// One per cache group of the model.
  std::vector<kv_landing_group> groups;
  model_fingerprint fingerprint;
  numerics_id numerics;
  /// The decode worker, its life, and which of this life's landings it is. Life and number come back with every block.
  worker_id owner;
  epoch owner_epoch;
  std::uint64_t number = 0;
  /// The owner gives the landing up if nothing arrives for so long; a block that has not begun to move in it need not.
  std::chrono::nanoseconds lease{};

  friend bool operator==(const kv_landing&, const kv_landing&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, kv_landing& x) {
  return f.object(x).fields(f.field("endpoint", x.endpoint), f.field("groups", x.groups),
                            f.field("fingerprint", x.fingerprint), f.field("numerics", x.numerics),
                            f.field("owner", x.owner), f.field("owner_epoch", x.owner_epoch),
                            f.field("number", x.number), f.field("lease", x.lease));
}

/// A decode worker asks its prefill peer to compute a prompt and push its blocks. The response,
/// prefill_completed, is the completion record: nothing is read before it.
struct prefill_request {
  request_id request;
  /// Prompt, then output tokens of an earlier worker.
  std::vector<token_id> tokens;
  std::uint32_t prompt_tokens = 0;
  sampling_options sampling;
  std::int32_t priority = 0;
  std::chrono::nanoseconds time_left{};
  kv_landing landing;

  friend bool operator==(const prefill_request&, const prefill_request&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, prefill_request& x) {
  return f.object(x).fields(f.field("request", x.request), f.field("tokens", x.tokens),
                            f.field("prompt_tokens", x.prompt_tokens), f.field("sampling", x.sampling),
                            f.field("priority", x.priority), f.field("time_left", x.time_left),
                            f.field("landing", x.landing));
}

/// A decode worker gives a landing up. The response says that no byte of it is under way any more and none will be.
struct abandon_landing {
  request_id request;
  /// Whose landing, and of which life: a later one of the same request is another's.
  worker_id owner;
  epoch owner_epoch;

  friend bool operator==(const abandon_landing&, const abandon_landing&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, abandon_landing& x) {
  return f.object(x).fields(f.field("request", x.request), f.field("owner", x.owner),
                            f.field("owner_epoch", x.owner_epoch));
}

/// The completion record of a landing: sent when every block is where it belongs.
struct prefill_completed {
  request_id request;
  /// The life of the decode worker that offered the landing.
  epoch owner_epoch;
  model_fingerprint fingerprint;
  /// Tree checksum of each pushed block, from first_block on, of each cache group.
  std::vector<std::vector<std::uint64_t>> checksums;
  /// The token that the last position drew.
  sampled_token first;
  /// Tokens that the prefill worker found in its own cache.
  std::uint32_t cached_tokens = 0;

  friend bool operator==(const prefill_completed&, const prefill_completed&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, prefill_completed& x) {
  return f.object(x).fields(f.field("request", x.request), f.field("owner_epoch", x.owner_epoch),
                            f.field("fingerprint", x.fingerprint), f.field("checksums", x.checksums),
                            f.field("first", x.first), f.field("cached_tokens", x.cached_tokens));
}

/// Note beside a pushed block, seen by the decode side's endpoint after the block's bytes are visible. They are final:
/// a landing's writer writes each block once.
struct kv_block_arrived {
  request_id request;
  /// From kv_landing. A request may have another landing at the same worker before the last note of the earlier one is
  /// there.
  epoch owner_epoch;
  std::uint64_t landing = 0;
  /// The cache group, and the index in the prompt's block table of that group.
  std::uint8_t group = 0;
  std::uint32_t block_index = 0;

  friend bool operator==(const kv_block_arrived&, const kv_block_arrived&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, kv_block_arrived& x) {
  return f.object(x).fields(f.field("request", x.request), f.field("owner_epoch", x.owner_epoch),
                            f.field("landing", x.landing), f.field("group", x.group),
                            f.field("block_index", x.block_index));
}

} // namespace troupe
