// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>
#include <vector>

#include "gpu/errc.hpp"

namespace troupe::gpu::host {

/// One compilation of the kernels. Bits are equal within a path; all but portable compute the same fused operations in
/// the same order, and integer sums are exact, so their bits are equal too, but for bf16 weights with AMX.
enum class simd_path : std::uint8_t {
  /// No fused multiply-add; runs everywhere.
  portable,
  /// AVX2, FMA and F16C.
  avx2,
  /// AVX-512 F, DQ, BW and VL.
  avx512,
  /// The same with VNNI.
  avx512_vnni,
  /// The same with AMX for many tokens, and for bf16 weights.
  amx,
};

/// Slowest first.
inline constexpr simd_path simd_paths[] = {simd_path::portable, simd_path::avx2, simd_path::avx512,
                                           simd_path::avx512_vnni, simd_path::amx};

/// Their names in the same order: those of the option compute.simd, of logs and of benchmarks.
inline constexpr std::string_view simd_path_names[] = {"portable", "avx2", "avx512", "avx512-vnni", "amx"};
static_assert(std::size(simd_path_names) == std::size(simd_paths));

constexpr std::string_view to_string(simd_path path) { return simd_path_names[static_cast<std::size_t>(path)]; }

/// The name of a path, as to_string() gives it; nothing for another word.
std::optional<simd_path> simd_path_from_string(std::string_view);

/// The paths that this CPU and operating system run, slowest first; never empty.
std::vector<simd_path> supported_simd_paths();

/// `forced`, or the fastest supported path if nothing is forced. errc::unsupported, naming the path and those that are
/// supported, if the CPU or the operating system cannot run it.
expected<simd_path, error> choose_simd_path(std::optional<simd_path> forced);

/// How many matrix kernels of a path ran in this process: proves to tests which path computed.
std::uint64_t kernel_calls(simd_path);

} // namespace troupe::gpu::host
