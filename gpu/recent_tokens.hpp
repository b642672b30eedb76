// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "gpu/executor.hpp"

namespace troupe::gpu {

/// The tokens that the rows of the last steps drew, for rows that name one of them as input.
class recent_tokens {
public:
  explicit recent_tokens(std::size_t steps_max) : steps_max_(steps_max) {}

  void add(step_id id, const std::vector<row_result>& rows) {
    auto& entry = steps_.emplace_back(id, std::vector<std::optional<token_id>>{});
    for (const auto& r : rows)
      entry.second.push_back(r.token ? std::optional{r.token->token} : std::nullopt);
    if (steps_.size() > steps_max_)
      steps_.pop_front();
  }

  std::optional<token_id> find(const sampled_by& from) const {
    for (const auto& [id, tokens] : steps_)
      if (id == from.step)
        return from.row < tokens.size() ? tokens[from.row] : std::nullopt;
    return std::nullopt;
  }

private:
  std::size_t steps_max_;
  std::deque<std::pair<step_id, std::vector<std::optional<token_id>>>> steps_;
};

} // namespace troupe::gpu
