// SPDX-License-Identifier: Apache-2.0
#include "transport/random_peer.hpp"

#include <sys/random.h>

namespace troupe::transport {

expected<peer_id, error> random_peer_id() {
  peer_id result;
  do {
    if (::getrandom(&result.value, sizeof result.value, 0) != sizeof result.value)
      return fail(errc::resource, "the system gave no random bytes");
  } while (result.value == 0);
  return result;
}

} // namespace troupe::transport
