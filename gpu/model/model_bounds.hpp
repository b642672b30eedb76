// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "gpu/errc.hpp"
#include "gpu/model/model_config.hpp"

namespace troupe::gpu {

/// What a file may ask for: far above any real model, low enough that no product of two overflows 64 bits.
namespace bounds {
inline constexpr std::uint64_t vocabulary_max = 1u << 24;
inline constexpr std::uint64_t context_max = 1u << 24;
inline constexpr std::uint64_t width_max = 1u << 17;
inline constexpr std::uint64_t layers_max = 1u << 10;
inline constexpr std::uint64_t heads_max = 1u << 10;
inline constexpr std::uint64_t head_width_max = 1u << 10;
inline constexpr std::uint64_t hidden_max = 1u << 20;
inline constexpr std::uint64_t experts_max = 1u << 10;
inline constexpr double rope_base_max = 1e12;
} // namespace bounds

/// Whether the numbers fit each other.
expected<void, error> check_together(const model_config&);

} // namespace troupe::gpu
