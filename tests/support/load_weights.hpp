// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "gpu/host/host_weights.hpp"

namespace troupe::test {

/// Of a file, or of a directory of transformers'.
template <class File>
expected<std::shared_ptr<const gpu::host::host_weights>, gpu::error>
load_weights(const File& file, gpu::host::weight_format format = gpu::host::weight_format::as_stored) {
  auto model = gpu::describe_model(file);
  if (!model)
    return unexpected{model.error()};
  return gpu::host::host_weights::load(*model, format);
}

} // namespace troupe::test
