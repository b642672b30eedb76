// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "messages/control/placement.hpp"
#include "messages/errc.hpp"
#include "messages/ids.hpp"

namespace troupe::planner {

/// What a policy knows of a worker when it places a request.
struct candidate {
  worker_id id;
  /// role_bits
  std::uint32_t roles = 0;
  std::uint32_t blocks = 0;
  std::uint32_t block_tokens = 0;
  std::uint32_t context_tokens = 0;
  numerics_id numerics;
  model_fingerprint fingerprint;
  /// Requests that were placed here and have not ended.
  std::uint32_t active_requests = 0;
  /// Their prompt tokens and expected output tokens.
  std::uint64_t active_tokens = 0;
  /// Grows with each placement: the smallest was chosen longest ago.
  std::uint64_t last_placed = 0;
};

/// Nobody can take the request now.
struct refusal {
  errc code = errc::unavailable;
  std::string_view why;
};

using verdict = std::variant<placement, refusal>;

/// Decides where a request goes. Pure: no clock, no I/O; everything that it may know is an argument.
/// Shared by the router, the endpoint picker, replay and simulation.
class policy {
public:
  virtual ~policy() = default;
  virtual verdict place(const demand&, std::span<const candidate>) const = 0;
};

} // namespace troupe::planner
