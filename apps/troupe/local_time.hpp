// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace troupe {

/// "2024-07-26", "2024-07-26T12:00" or "2024-07-26T12:00:00", also with a space for the T. A zone is
/// refused: the time is local by definition.
std::optional<std::chrono::local_seconds> parse_local_time(std::string_view);

/// The local time of the call, by the system's zone.
std::chrono::local_seconds local_time_now();

} // namespace troupe
