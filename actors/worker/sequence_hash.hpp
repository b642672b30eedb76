// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "messages/ids.hpp"

namespace troupe {

/// Sequence hash of a block of these tokens, without a salt: see messages/kv/block_hash.hpp.
std::uint64_t sequence_hash(std::optional<std::uint64_t> parent, std::span<const token_id> tokens);

} // namespace troupe
