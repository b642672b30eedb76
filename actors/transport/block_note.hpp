// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>

#include "messages/kv/landing.hpp"

namespace troupe {

/// kv_block_arrived as the note beside a pushed block: request, epoch, landing, cache group, block index,
/// little-endian.
inline constexpr std::size_t block_note_bytes = 29;

std::array<std::byte, block_note_bytes> encode_block_note(const kv_block_arrived&);

/// Nothing if the length is wrong: the note comes from another process.
std::optional<kv_block_arrived> decode_block_note(std::span<const std::byte>);

} // namespace troupe
