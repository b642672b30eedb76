// SPDX-License-Identifier: Apache-2.0
#include "actors/worker/sequence_hash.hpp"

#include "messages/kv/block_hash.hpp"

namespace troupe {

std::uint64_t sequence_hash(std::optional<std::uint64_t> parent, std::span<const token_id> tokens) {
  return chain_block_hash(parent, block_hash(tokens));
}

} // namespace troupe
