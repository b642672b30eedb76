// SPDX-License-Identifier: Apache-2.0
#include "gpu/host/simd_path.hpp"

#include <string>

#include "gpu/host/kernels.hpp"

namespace troupe::gpu::host {

std::uint64_t multiply_calls[3] = {};

std::string_view to_string(simd_path path) {
  switch (path) {
    case simd_path::portable: return "portable";
    case simd_path::avx2: return "avx2";
    case simd_path::avx512: return "avx512";
  }
  return "unknown";
}

std::optional<simd_path> simd_path_from_string(std::string_view name) {
  for (auto path : {simd_path::portable, simd_path::avx2, simd_path::avx512})
    if (name == to_string(path))
      return path;
  return std::nullopt;
}

std::vector<simd_path> supported_simd_paths() {
  std::vector<simd_path> result{simd_path::portable};
#if defined(__x86_64__)
  // These builtins also ask whether the operating system saves the wide registers.
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  if (avx2)
    result.push_back(simd_path::avx2);
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
      && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    result.push_back(simd_path::avx512);
#endif
  return result;
}

expected<simd_path, error> choose_simd_path(std::optional<simd_path> forced) {
  const auto supported = supported_simd_paths();
  if (!forced)
    return supported.back();
  for (auto path : supported)
    if (path == *forced)
      return path;
  return fail(errc::unsupported, "this CPU does not run the " + std::string{to_string(*forced)} + " path");
}

std::uint64_t kernel_calls(simd_path path) {
  return __atomic_load_n(&multiply_calls[static_cast<std::size_t>(path)], __ATOMIC_RELAXED);
}

const kernel_table& kernels_of(simd_path path) {
  switch (path) {
#if defined(__x86_64__)
    case simd_path::avx2: return avx2_kernels;
    case simd_path::avx512: return avx512_kernels;
#else
    case simd_path::avx2:
    case simd_path::avx512:
#endif
    case simd_path::portable: break;
  }
  return portable_kernels;
}

} // namespace troupe::gpu::host
