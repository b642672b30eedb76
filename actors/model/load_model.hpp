// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "actors/model/served_model.hpp"
#include "gpu/host/host_weights.hpp"
#include "messages/errc.hpp"

namespace troupe {

/// A model's files, loaded: its text side for the frontend, its weights for the executors.
struct loaded_model {
  served_model served;
  /// Null if only the text side was asked for.
  std::shared_ptr<const gpu::host::host_weights> weights;
};

enum class load_weights : std::uint8_t { no, yes };

struct load_request {
  /// A GGUF file or a directory of transformers'.
  std::filesystem::path path;
  /// To serve it under.
  std::string name;
  load_weights weights = load_weights::no;
  gpu::host::weight_format format = gpu::host::weight_format::as_stored;
  /// See host_weights::load; may be empty.
  std::function<void(gpu::host::load_progress)> progress;
};

/// errc::resource with a sentence that names the file, tensor or key.
expected<loaded_model, error> load_model(const load_request&);

} // namespace troupe
