// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "actors/model/served_model.hpp"
#include "gpu/errc.hpp"
#include "gpu/host/host_weights.hpp"
#include "messages/errc.hpp"

namespace troupe {

/// A model file, loaded: its text side for the frontend, its weights for the executors.
struct loaded_model {
  served_model served;
  /// Null if only the text side was asked for.
  std::shared_ptr<const gpu::host::host_weights> weights;
};

enum class load_weights : std::uint8_t { no, yes };

/// Opens a GGUF file and loads it. `name` is the name to serve it under; empty: the file's stem.
/// errc::resource with a sentence that names the file, tensor or key.
expected<loaded_model, error> load_model(const std::filesystem::path&, const std::string& name, load_weights,
                                         const std::function<void(gpu::host::load_progress)>& progress = {});

} // namespace troupe
