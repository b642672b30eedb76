// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "gpu/host/mapped_memory.hpp"

namespace troupe::bench {

using wide = std::uint64_t __attribute__((vector_size(64)));

/// Four streams, which keep more loads in flight than one.
__attribute__((target_clones("default", "avx2", "avx512f"))) inline std::uint64_t sum_of(const wide* words,
                                                                                         std::size_t count) {
  constexpr std::size_t streams = 4;
  const auto share = count / streams;
  wide sums[2 * streams] = {};
  for (std::size_t i = 0; i + 2 <= share; i += 2)
    for (std::size_t s = 0; s < streams; ++s) {
      sums[2 * s] += words[s * share + i];
      sums[2 * s + 1] += words[s * share + i + 1];
    }
  wide all = sums[0];
  for (std::size_t s = 1; s < 2 * streams; ++s)
    all += sums[s];
  std::uint64_t result = 0;
  for (int i = 0; i < 8; ++i)
    result += all[i];
  return result;
}

/// The physical limit of decode: bytes per second at which so many threads read a buffer of that size, again and again.
class read_rate {
public:
  read_rate(std::uint64_t bytes, std::uint32_t threads) : threads_{threads} {
    auto memory = gpu::host::mapped_memory::make(bytes);
    if (!memory)
      std::fprintf(stderr, "%s\n", memory.error().context.c_str()), std::exit(3);
    memory_ = std::move(*memory);
    memory_.prefer_huge_pages();
    std::memset(memory_.data(), 1, bytes);
  }

  /// Bytes per second.
  double measure() const {
    const auto rounds = std::max<std::uint64_t>(1, (2ull << 30) / memory_.bytes());
    const auto share = memory_.bytes() / sizeof(wide) / threads_;
    std::atomic<std::uint64_t> sink = 0;
    const auto begin = std::chrono::steady_clock::now();
    {
      std::vector<std::jthread> readers;
      for (std::uint32_t t = 0; t < threads_; ++t)
        readers.emplace_back([&, t] {
          const auto* words = reinterpret_cast<const wide*>(memory_.data()) + t * share;
          for (std::uint64_t round = 0; round < rounds; ++round) {
            asm volatile("" : : "r"(words) : "memory"); // else one round would do
            sink += sum_of(words, share);
          }
        });
    }
    return static_cast<double>(memory_.bytes() * rounds)
           / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

private:
  std::uint32_t threads_;
  gpu::host::mapped_memory memory_;
};

} // namespace troupe::bench
