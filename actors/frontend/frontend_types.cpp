// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/frontend_types.hpp"

#include <caf/init_global_meta_objects.hpp>

namespace troupe {

void init_frontend_messages() { caf::init_global_meta_objects<caf::id_block::troupe_frontend>(); }

} // namespace troupe
