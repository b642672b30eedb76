// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gpu/host/host_model.hpp"
#include "messages/ids.hpp"

namespace troupe::test {

inline constexpr std::uint32_t prompt_logits_block_tokens = 16;

/// Computes a prompt in one go. float[positions][logits_stride()]: the logits that follow its tokens at `positions`.
/// REQUIRES: the model was made with blocks of prompt_logits_block_tokens, enough for the prompt
std::vector<float> prompt_logits(gpu::host::host_model&, std::span<const token_id> prompt,
                                 std::span<const std::uint32_t> positions);

} // namespace troupe::test
