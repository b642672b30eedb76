// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace troupe {

/// How long who connects to a node may take to show who it is.
inline constexpr std::chrono::seconds stranger_patience{5};

/// The address of the other side of a TCP connection, without its port, which changes with each try.
std::string address_behind(int fd);

/// Logs that a connection was refused; once per component, message, address and reason, at most 256 lines in all.
/// Thread-safe.
void log_stranger(std::string_view component, std::string_view message, std::string_view address, std::string_view why);

/// Connections of this process's node plane whose other side has not shown who it is. Each is known by an address in
/// memory, and leaves before its descriptor is closed. Thread-safe.
namespace strangers {

void enter(const void* connection, int fd);
/// False if it is not there: never entered, left already, or shown out.
bool leave(const void* connection);
/// Logs and shuts down, on behalf of their owners, those that entered more than stranger_patience before `now`.
void show_out(std::chrono::steady_clock::time_point now);

} // namespace strangers

} // namespace troupe
