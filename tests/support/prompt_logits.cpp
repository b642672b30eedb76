// SPDX-License-Identifier: Apache-2.0
#include "tests/support/prompt_logits.hpp"

#include <numeric>

namespace troupe::test {

std::vector<float> prompt_logits(gpu::host::host_model& model, const logit_prompt& prompt) {
  std::vector<block_id> table(prompt.tokens.size() / prompt_logits_block_tokens + 1);
  std::iota(table.rbegin(), table.rend(), 0u);
  std::vector<gpu::host::forward_token> tokens;
  for (auto token : prompt.tokens)
    tokens.push_back({token, static_cast<std::uint32_t>(tokens.size()), table.data()});
  std::vector<std::uint32_t> wanted;
  for (const auto& p : prompt.positions)
    wanted.push_back(p.position);
  std::vector<float> logits(wanted.size() * model.logits_stride());
  model.pool().run([&] { model.forward(tokens, wanted, logits); });
  return logits;
}

} // namespace troupe::test
