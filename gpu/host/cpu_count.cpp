// SPDX-License-Identifier: Apache-2.0
#include "gpu/host/cpu_count.hpp"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace troupe::gpu::host {

namespace {

constexpr std::uint32_t unlimited = ~0u;
constexpr int cgroup_depth_max = 64;

std::uint32_t affinity_cpus() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
    return static_cast<std::uint32_t>(CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency()); // more than 1,024 cores
}

std::uint32_t cpus_of(double quota, double period) {
  if (!(quota > 0) || !(period > 0))
    return unlimited;
  return static_cast<std::uint32_t>(std::clamp(std::ceil(quota / period), 1.0, 1e6));
}

/// The quota of one v2 group: "max 100000" or "150000 100000".
std::uint32_t quota_v2(const std::filesystem::path& folder) {
  std::ifstream file{folder / "cpu.max"};
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max")
    return unlimited;
  return cpus_of(std::strtod(quota.c_str(), nullptr), period);
}

std::uint32_t quota_v1(const std::filesystem::path& folder) {
  double quota = 0;
  double period = 0;
  std::ifstream{folder / "cpu.cfs_quota_us"} >> quota;
  std::ifstream{folder / "cpu.cfs_period_us"} >> period;
  return cpus_of(quota, period);
}

/// The tightest quota from this process' v2 group up to the root.
std::uint32_t cgroup_cpus() {
  const std::filesystem::path root{"/sys/fs/cgroup"};
  std::uint32_t result = std::min(quota_v2(root), quota_v1(root / "cpu"));
  std::ifstream groups{"/proc/self/cgroup"};
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::/"))
      continue;
    auto folder = std::filesystem::path{line.substr(4)};
    for (int depth = 0; depth < cgroup_depth_max && !folder.empty(); ++depth, folder = folder.parent_path())
      result = std::min(result, quota_v2(root / folder));
  }
  return result;
}

} // namespace

std::uint32_t usable_cpus() { return std::min(affinity_cpus(), cgroup_cpus()); }

} // namespace troupe::gpu::host
