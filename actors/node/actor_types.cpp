// SPDX-License-Identifier: Apache-2.0
// CAF's meta objects are instantiated here and nowhere else: it takes the compiler seconds.
#include "actors/node/actor_types.hpp"

#include <mutex>

#include <caf/init_global_meta_objects.hpp>

#include "actors/frontend/frontend_types.hpp"
#include "actors/node/discovery_messages.hpp"
#include "actors/transport/transport_endpoint.hpp"
#include "actors/worker/device_interface.hpp"
#include "messages/init_messages.hpp"

namespace troupe {

void init_actor_types() {
  static std::once_flag once;
  std::call_once(once, [] {
    init_messages();
    caf::init_global_meta_objects<caf::id_block::troupe_device>();
    caf::init_global_meta_objects<caf::id_block::troupe_transport>();
    caf::init_global_meta_objects<caf::id_block::troupe_frontend>();
    caf::init_global_meta_objects<caf::id_block::troupe_discovery>();
    caf::core::init_global_meta_objects();
  });
}

} // namespace troupe
