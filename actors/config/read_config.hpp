// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "actors/config/fault.hpp"
#include "actors/config/node_config.hpp"
#include "messages/expected.hpp"

namespace troupe {

/// Reads and validates a configuration file. All faults are reported at once, in order of lines.
expected<node_config, std::vector<fault>> read_config(const std::filesystem::path& file);

/// The same for a text; `name` stands for the file in faults, and relative paths are relative to its folder.
expected<node_config, std::vector<fault>> read_config_text(std::string_view text, const std::filesystem::path& name);

} // namespace troupe
