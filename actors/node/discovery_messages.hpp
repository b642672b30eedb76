// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <caf/type_id.hpp>

#include "messages/type_ids.hpp"

// What a node's own discovery says. Never leaves the process.
namespace troupe {

/// Where other nodes may be. To node_links.
struct found_nodes {
  /// As "address:port".
  std::vector<std::string> addresses;
};
template <class Inspector>
bool inspect(Inspector& f, found_nodes& x) {
  return f.object(x).fields(f.field("addresses", x.addresses));
}

/// Of lease_keeper to itself.
struct renew_lease {};
template <class Inspector>
bool inspect(Inspector& f, renew_lease& x) {
  return f.object(x).fields();
}

} // namespace troupe

CAF_BEGIN_TYPE_ID_BLOCK(troupe_discovery, first_custom_type_id + 1300)
CAF_ADD_TYPE_ID(troupe_discovery, (troupe::found_nodes))
CAF_ADD_TYPE_ID(troupe_discovery, (troupe::renew_lease))
CAF_END_TYPE_ID_BLOCK(troupe_discovery)
