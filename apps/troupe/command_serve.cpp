// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "apps/troupe/commands.hpp"
#include "apps/troupe/foreground.hpp"

namespace troupe {

namespace {

/// A worker that joins a cluster without a file of its own.
node_config joining_worker(const serve_options& options) {
  node_config result;
  result.model.path = options.model_file;
  result.decode_worker.emplace();
  return result;
}

} // namespace

exit_code command_serve(const serve_options& options) {
  auto config =
    options.config_file.empty() ? std::optional{joining_worker(options)} : read_config_or_complain(options.config_file);
  if (!config)
    return exit_code::config;
  if (!options.join.empty()) {
    const auto seed = parse_listen_address(options.join);
    if (!seed || seed->port == 0) {
      std::fprintf(stderr, "troupe: --join wants an address and a port like 127.0.0.1:7400, not '%s'\n",
                   options.join.c_str());
      return exit_code::usage;
    }
    if (!config->cluster) {
      config->cluster.emplace().listen.port = 0;
      config->cluster->name = options.cluster;
    }
    config->cluster->seeds.push_back(*seed);
  }
  return run_in_foreground(*config);
}

} // namespace troupe
