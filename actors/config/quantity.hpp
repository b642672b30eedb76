// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe {

constexpr std::uint64_t kib(std::uint64_t n) { return n << 10; }
constexpr std::uint64_t mib(std::uint64_t n) { return n << 20; }
constexpr std::uint64_t gib(std::uint64_t n) { return n << 30; }

/// What an integer in a configuration counts. Times are kept in nanoseconds, sizes in bytes.
enum class dimension : std::uint8_t { count, bytes, time };

/// How many nanoseconds or bytes one `unit` of a time or size is ("ms", "KiB"); 0 if it is none of
/// its units, or if a count has a unit at all.
std::int64_t unit_scale(dimension, std::string_view unit);

/// "ns, us, ms, s, min, h" or "B, KiB, MiB, GiB, TiB"; empty for counts.
std::string_view unit_names(dimension);

/// The value as a configuration file writes it, in the largest unit without a fraction: "2min", "1GiB", "64".
std::string to_string(dimension, std::int64_t value);

} // namespace troupe
