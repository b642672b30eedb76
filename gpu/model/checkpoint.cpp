// SPDX-License-Identifier: Apache-2.0
#include "gpu/model/checkpoint.hpp"

#include <filesystem>
#include <utility>

namespace troupe::gpu {

namespace {

constexpr std::string_view synthetic_prefix = "synthetic:";

} // namespace

expected<checkpoint, error> checkpoint::open(const std::string& path) {
  auto wrap = [](auto opened) -> expected<checkpoint, error> {
    if (!opened)
      return unexpected{opened.error()};
    return checkpoint{files{std::move(*opened)}};
  };
  if (path.starts_with(synthetic_prefix))
    return wrap(synthetic_model::make(std::string_view{path}.substr(synthetic_prefix.size())));
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored) ? wrap(transformers_directory::open(path))
                                                      : wrap(gguf_file::open(path));
}

expected<model_config, error> checkpoint::config() const {
  if (auto* file = gguf())
    return read_model_config(*file);
  if (auto* files = directory())
    return read_model_config(*files);
  return std::get<synthetic_model>(files_).description().config;
}

expected<model_description, error> checkpoint::describe() const {
  if (auto* file = gguf())
    return describe_model(*file);
  if (auto* files = directory())
    return describe_model(*files);
  return std::get<synthetic_model>(files_).description();
}

} // namespace troupe::gpu
