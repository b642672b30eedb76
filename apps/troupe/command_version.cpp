// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "apps/troupe/commands.hpp"
#include "messages/wire_version.hpp"

namespace troupe {

exit_code command_version(version_format format) {
  if (format == version_format::json)
    std::printf("{\"version\":\"%s\",\"wire\":%d,\"compiler\":\"%s\"}\n", TROUPE_VERSION,
                static_cast<int>(wire_version), __VERSION__);
  else
    std::printf("troupe %s\n", TROUPE_VERSION);
  return exit_code::ok;
}

} // namespace troupe
