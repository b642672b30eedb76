// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "gpu/model/gguf.hpp"

namespace troupe::gpu {

/// A model as Hugging Face's transformers saves it: config.json, and model.safetensors or the shards that
/// model.safetensors.index.json names, mapped read-only and checked when they are opened.
///
/// Immutable after open, so every const function may be called from any thread. What they return lives as long as the
/// object, or the one that it was moved to.
class transformers_directory {
public:
  /// errc::resource, malformed_file, missing, unsupported; each names the file.
  static expected<transformers_directory, error> open(const std::filesystem::path&);

  transformers_directory(transformers_directory&&) noexcept;
  transformers_directory& operator=(transformers_directory&&) noexcept;
  ~transformers_directory();

  /// config.json, an object.
  const nlohmann::json& config() const;
  /// Of all shards.
  std::span<const tensor_info> tensors() const;
  /// nullptr if there is none of that name.
  const tensor_info* find_tensor(std::string_view name) const;
  const std::filesystem::path& path() const;

private:
  struct content;
  explicit transformers_directory(std::unique_ptr<content>);
  std::unique_ptr<content> content_;
};

} // namespace troupe::gpu
