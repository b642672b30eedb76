// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>

#include "messages/ids.hpp"
#include "messages/request/sampling_options.hpp"

namespace troupe::gpu {

/// Which tokens a sequence has, for its penalties.
class token_counts {
public:
  struct count {
    bool in_prompt = false;
    std::uint32_t in_output = 0;
  };

  void add_prompt(token_id token) { counts_[token].in_prompt = true; }
  void add_output(token_id token) { ++counts_[token].in_output; }

  /// Counts of all tokens that occur, in no order.
  const std::unordered_map<token_id, count>& all() const { return counts_; }

private:
  std::unordered_map<token_id, count> counts_;
};

/// Whether the options look at earlier tokens at all.
inline bool has_penalties(const sampling_options& options) {
  return options.presence_penalty != 0 || options.frequency_penalty != 0 || options.repetition_penalty != 1;
}

} // namespace troupe::gpu
