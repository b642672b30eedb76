// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "messages/interfaces_fwd.hpp"
#include "messages/wire_version.hpp"

namespace troupe {

/// How a node presents itself to another; the answer is the other's.
struct node_hello {
  /// Its name, unique in the cluster.
  std::string node;
  /// When it started, in microseconds of Unix time: the same name with another life is a restarted node.
  std::uint64_t life = 0;
  std::string cluster;
  std::uint16_t wire = wire_version;
  /// Where its node plane listens, as "address:port".
  std::string address;
  node_gate_actor gate;

  friend bool operator==(const node_hello&, const node_hello&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, node_hello& x) {
  return f.object(x).fields(f.field("node", x.node), f.field("life", x.life), f.field("cluster", x.cluster),
                            f.field("wire", x.wire), f.field("address", x.address), f.field("gate", x.gate));
}

} // namespace troupe
