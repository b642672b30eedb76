// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "gpu/model/model_config.hpp"

namespace troupe::gpu {

/// What sets an architecture apart from the others, beyond numbers that each file states.
struct architecture {
  /// GGUF's general.architecture.
  std::string_view name;
  /// Values of model_type in config.json, separated by spaces.
  std::string_view model_types;
  /// In GGUF; transformers has halves for all.
  rope_pairs gguf_pairs;
  gate_function gate = gate_function::silu;
  bool qk_norms = false;
  bool post_norms = false;
  /// In transformers' files; GGUF stores the sum.
  bool norms_less_one = false;
  /// Rows of the embedding are multiplied by √width.
  bool scaled_embedding = false;
  bool experts = false;
};

/// nullptr for one that is not known.
const architecture* find_architecture(std::string_view gguf_name);
const architecture* find_architecture_by_model_type(std::string_view model_type);

/// For messages.
std::string known_architectures();
std::string known_model_types();

} // namespace troupe::gpu
