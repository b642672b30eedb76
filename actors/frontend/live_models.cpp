// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/live_models.hpp"

#include <algorithm>

namespace troupe {

live_models live_models_of(const fleet_snapshot& fleet) {
  live_models result;
  for (auto& [record, handle] : fleet.members) {
    if ((record.roles & role_decode) == 0)
      continue;
    auto& model = result[record.model];
    const auto holds =
      std::min<std::uint64_t>(std::uint64_t{record.blocks} * record.block_tokens, record.context_tokens);
    model.tokens_max = std::max(model.tokens_max, static_cast<std::uint32_t>(holds));
    model.mock = model.mock || record.executor == "mock";
  }
  return result;
}

} // namespace troupe
