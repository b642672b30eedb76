// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "actors/config/node_config.hpp"
#include "actors/node/exit_code.hpp"
#include "actors/node/run_node.hpp"

namespace troupe {

/// The configuration of a file. nullopt: its faults are on standard error, and the exit code is config.
std::optional<node_config> read_config_or_complain(const std::filesystem::path& file);

/// Called once the node is ready and signals are waited for.
using announcer = std::function<void(const running_node&)>;

/// Runs a node until SIGINT, SIGTERM or its own end, from its start on. A second signal ends the process at once.
exit_code run_until_signalled(const node_config&, const announcer&);

/// The same with log lines; prints the node's URL and a curl line when it is ready.
exit_code run_in_foreground(const node_config&);

} // namespace troupe
