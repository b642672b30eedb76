// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "messages/control/fleet.hpp"

namespace troupe {

/// What the decode workers of a model can do, the best of them.
struct live_model {
  /// Most tokens of one request, prompt and output.
  std::uint32_t tokens_max = 0;
  /// One of them only claims to compute.
  bool mock = false;

  friend bool operator==(const live_model&, const live_model&) = default;
};

/// By name.
using live_models = std::map<std::string, live_model, std::less<>>;

/// The models for which the fleet has a decode worker.
live_models live_models_of(const fleet_snapshot&);

} // namespace troupe
