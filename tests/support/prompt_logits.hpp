// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "gpu/host/host_model.hpp"
#include "tests/support/logit_goldens.hpp"

namespace troupe::test {

inline constexpr std::uint32_t prompt_logits_block_tokens = 16;

/// Computes a prompt in one go. float[positions][logits_stride()]: the logits of its golden positions.
/// REQUIRES: the model was made with blocks of prompt_logits_block_tokens, enough for the prompt
std::vector<float> prompt_logits(gpu::host::host_model&, const logit_prompt&);

} // namespace troupe::test
