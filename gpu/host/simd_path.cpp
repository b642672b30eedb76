// SPDX-License-Identifier: Apache-2.0
#include "gpu/host/simd_path.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <string>

#include "gpu/host/kernels.hpp"

namespace troupe::gpu::host {

std::uint64_t multiply_calls[std::size(simd_paths)] = {};

std::optional<simd_path> simd_path_from_string(std::string_view name) {
  for (auto path : simd_paths)
    if (name == to_string(path))
      return path;
  return std::nullopt;
}

namespace {

#if defined(__x86_64__)
/// AMX needs the CPU, a kernel that saves the tiles, and its permission, which holds for the whole process.
bool request_amx() {
  constexpr unsigned needed = 1u << 22 | 1u << 24 | 1u << 25; // EDX of leaf 7: AMX's bf16, tiles, int8
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & needed) != needed || !__builtin_cpu_supports("avx512bf16"))
    return false;
#if defined(__linux__)
  constexpr long request_permission = 0x1023, tile_data = 18;
  return ::syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}
#endif

} // namespace

std::vector<simd_path> supported_simd_paths() {
  std::vector<simd_path> result{simd_path::portable};
#if defined(__x86_64__)
  // These builtins also ask whether the operating system saves the wide registers.
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c"))
    return result;
  result.push_back(simd_path::avx2);
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512bw")
      || !__builtin_cpu_supports("avx512vl"))
    return result;
  result.push_back(simd_path::avx512);
  if (!__builtin_cpu_supports("avx512vnni"))
    return result;
  result.push_back(simd_path::avx512_vnni);
  static const bool amx = request_amx();
  if (amx)
    result.push_back(simd_path::amx);
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
  std::string names;
  for (auto path : supported)
    names += (names.empty() ? "" : ", ") + std::string{to_string(path)};
  return fail(errc::unsupported,
              "this machine does not run the path " + std::string{to_string(*forced)} + "; it runs " + names);
}

std::uint64_t kernel_calls(simd_path path) {
  return __atomic_load_n(&multiply_calls[static_cast<std::size_t>(path)], __ATOMIC_RELAXED);
}

const kernel_table& kernels_of(simd_path path) {
  switch (path) {
#if defined(__x86_64__)
    case simd_path::avx2: return avx2_kernels;
    case simd_path::avx512: return avx512_kernels;
    case simd_path::avx512_vnni: return avx512_vnni_kernels;
    case simd_path::amx: return amx_kernels;
#else
    case simd_path::avx2:
    case simd_path::avx512:
    case simd_path::avx512_vnni:
    case simd_path::amx:
#endif
    case simd_path::portable: break;
  }
  return portable_kernels;
}

} // namespace troupe::gpu::host
