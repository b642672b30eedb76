// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string_view>

namespace troupe::transport {

/// Told of a connection that is refused because its other side is not a peer, and why. The descriptor is open during
/// the call, which is made by a thread of the back end under its lock: it must be quick, and call nothing of it. May be
/// empty.
using stranger_report = std::function<void(int fd, std::string_view why)>;

} // namespace troupe::transport
