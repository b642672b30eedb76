// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <filesystem>

#include "actors/config/read_config.hpp"
#include "actors/config/reference.hpp"
#include "apps/troupe/commands.hpp"

namespace troupe {

namespace {

// What the node would run, e.g. "http at 127.0.0.1:8000, 1 prefill worker, 2 decode workers".
std::string roles_of(const node_config& config) {
  std::string result;
  const auto add = [&result](std::string role) { result += (result.empty() ? "" : ", ") + role; };
  const auto add_workers = [&add](const std::string& role, const std::optional<worker_section>& worker) {
    if (worker)
      add(std::to_string(worker->count) + " " + role + (worker->count == 1 ? " worker" : " workers"));
  };
  if (config.http)
    add("http at " + to_string(config.http->listen));
  if (config.admin)
    add("admin at " + to_string(config.admin->listen));
  add_workers("prefill", config.prefill_worker);
  add_workers("decode", config.decode_worker);
  return result;
}

// Not a fault of the configuration: it may be written before the model is there.
void note_missing(const model_section& model) {
  if (std::error_code code; !std::filesystem::is_regular_file(model.path, code))
    std::printf("note: there is no model file %s yet\n", model.path.c_str());
}

} // namespace

exit_code command_check(const check_options& options) {
  if (options.what == check_what::reference) {
    std::fputs(reference_config().c_str(), stdout);
    return exit_code::ok;
  }
  const auto config = read_config(options.config_file);
  if (!config) {
    std::fputs(to_string(config.error()).c_str(), stderr);
    return exit_code::config;
  }
  std::printf("%s: ok (%s)\n", options.config_file.c_str(), roles_of(*config).c_str());
  note_missing(config->model);
  for (const auto& model : config->further_models)
    note_missing(model);
  return exit_code::ok;
}

} // namespace troupe
