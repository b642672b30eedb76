// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/model/describe_model.hpp"

namespace troupe::gpu {

/// A model of a published shape with random weights, to measure speed with: bf16, the same bytes for a name on every
/// machine. Tensors share their bytes, so that it takes no more memory than its largest one.
class synthetic_model {
public:
  /// "llama-3.2-1b" or "llama-3.1-8b"; errc::unsupported for another, with the list.
  static expected<synthetic_model, error> make(std::string_view name);

  const model_description& description() const { return description_; }

private:
  synthetic_model() = default;
  std::unique_ptr<std::vector<std::uint16_t>> matrix_bytes_;
  std::unique_ptr<std::vector<float>> norm_;
  model_description description_;
};

} // namespace troupe::gpu
