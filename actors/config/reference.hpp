// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace troupe {

/// Every option with its sentence, bounds and default, as a configuration file that reads as it stands:
/// what configs/reference.conf holds and `troupe check --reference` prints.
std::string reference_config();

} // namespace troupe
