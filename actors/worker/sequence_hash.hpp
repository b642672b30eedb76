// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "messages/ids.hpp"

namespace troupe {

/// Sequence hash of a block: XXH3-64, seed 1337, of the block's little-endian u32 tokens, chained with
/// its predecessor's; the first one equals its block hash.
std::uint64_t sequence_hash(std::optional<std::uint64_t> parent, std::span<const token_id> tokens);

} // namespace troupe
