// SPDX-License-Identifier: Apache-2.0
#include "tests/support/prompt_logits.hpp"

#include <numeric>

namespace troupe::test {

std::vector<float> prompt_logits(gpu::host::host_model& model, std::span<const token_id> prompt,
                                 std::span<const std::uint32_t> positions) {
  std::vector<block_id> table(prompt.size() / prompt_logits_block_tokens + 1);
  std::iota(table.rbegin(), table.rend(), 0u);
  std::vector<gpu::host::forward_token> tokens;
  for (auto token : prompt)
    tokens.push_back({token, static_cast<std::uint32_t>(tokens.size()), {table.data(), table.data()}});
  std::vector<float> logits(positions.size() * model.logits_stride());
  model.pool().run([&] { model.forward(tokens, positions, logits); });
  return logits;
}

} // namespace troupe::test
