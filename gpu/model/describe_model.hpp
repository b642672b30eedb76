// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gpu/model/gguf.hpp"
#include "gpu/model/model_config.hpp"
#include "gpu/model/model_tensors.hpp"

namespace troupe::gpu {

class transformers_directory;

/// What a model computes, and with which weights. Valid as long as its files are open.
struct model_description {
  model_config config;
  model_tensors tensors;
};

/// Reads a model's numbers, checks them against each other, and finds its tensors. Errors: errc::unsupported for an
/// architecture that is not known (the message has the list) or a feature of it that would change the arithmetic;
/// errc::missing for a key that is absent or of another type; errc::malformed_file for numbers out of bounds; those of
/// find_model_tensors. Each names the key.
expected<model_description, error> describe_model(const gguf_file&);
expected<model_description, error> describe_model(const transformers_directory&);

/// The numbers alone, for files without weights.
expected<model_config, error> read_model_config(const gguf_file&);
expected<model_config, error> read_model_config(const transformers_directory&);

} // namespace troupe::gpu
