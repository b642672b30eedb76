// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace troupe::gpu {

/// Text from a file, quoted for a message: long ones cut, unprintable bytes as \xNN.
std::string in_quotes(std::string_view);

} // namespace troupe::gpu
