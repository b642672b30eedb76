// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "planner/policy/policy.hpp"

namespace troupe::planner {

/// Of the workers that can hold the whole request the one with the fewest active requests, then the fewest
/// active tokens, then the one that was chosen longest ago, so that equal workers share equal requests evenly.
/// errc::context_too_long if none can hold it.
///
/// A prompt of more than disaggregate_over tokens gets a prefill worker, chosen in the same way among
/// those whose KV the decode worker can read (equal fingerprint and numerics); if there is none, the
/// decode worker prefills.
class least_loaded final : public policy {
public:
  explicit least_loaded(std::uint32_t disaggregate_over) : disaggregate_over_(disaggregate_over) {}

  verdict place(const demand&, std::span<const candidate>) const override;

private:
  std::uint32_t disaggregate_over_;
};

} // namespace troupe::planner
