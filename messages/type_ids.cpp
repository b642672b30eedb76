// SPDX-License-Identifier: Apache-2.0
// The only translation unit that instantiates CAF's meta objects, which takes seconds.
#include "messages/init_messages.hpp"

#include <caf/init_global_meta_objects.hpp>

#include "messages/interfaces.hpp"

namespace troupe {

void init_messages() { caf::init_global_meta_objects<caf::id_block::troupe>(); }

} // namespace troupe
