// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/config/node_config.hpp"

namespace troupe {

/// A value that is wrong in view of others, or of what this version can do.
struct objection {
  enum class kind : std::uint8_t { wrong, missing };

  kind what = kind::wrong;
  /// Full dotted key.
  std::string key;
  std::string message;
  /// Full dotted key of the option that it was compared with, if any.
  std::string compared_with;
};

/// Checks what the bounds of single options cannot express. Expects every option within its own bounds.
std::vector<objection> validate(const node_config&);

} // namespace troupe
