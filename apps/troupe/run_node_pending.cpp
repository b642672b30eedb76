// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "actors/node/run_node.hpp"
#include "apps/troupe/exit_code.hpp"

namespace troupe {

// Stands in until actors/node/run_node.cpp is there; goes then, with its line in CMakeLists.txt.
int run_node(const node_config&, const node_ready_callback&) {
  std::fputs("troupe: this build has no node yet\n", stderr);
  return static_cast<int>(exit_code::internal);
}

} // namespace troupe
