// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/commands.hpp"
#include "apps/troupe/foreground.hpp"

namespace troupe {

exit_code command_serve(const serve_options& options) {
  const auto config = read_config_or_complain(options.config_file);
  return config ? run_in_foreground(*config) : exit_code::config;
}

} // namespace troupe
