// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace troupe {

/// Whether the node can serve, and if not, why: one sentence per reason.
struct node_health {
  std::vector<std::string> problems;
  std::uint32_t workers = 0;

  bool healthy() const { return problems.empty(); }

  friend bool operator==(const node_health&, const node_health&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, node_health& x) {
  return f.object(x).fields(f.field("problems", x.problems), f.field("workers", x.workers));
}

} // namespace troupe
