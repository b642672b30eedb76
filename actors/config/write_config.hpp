// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "actors/config/node_config.hpp"

namespace troupe {

/// Every option with its value, as a text that read_config_text() makes the same configuration of. Paths must be
/// absolute, as they are after reading.
std::string write_config(const node_config&);

} // namespace troupe
