// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "gpu/errc.hpp"

namespace troupe::gpu::host {

/// Memory of the process, or of a file in memory that other processes may map: page-aligned, zero, and taken from the
/// system only where touched.
class mapped_memory {
public:
  /// errc::resource if the system refuses. `bytes` may be 0.
  static expected<mapped_memory, error> make(std::uint64_t bytes);

  /// The same, with a file behind it that can neither shrink nor grow.
  static expected<mapped_memory, error> make_shared(std::uint64_t bytes);

  mapped_memory() = default;
  mapped_memory(mapped_memory&&) noexcept;
  mapped_memory& operator=(mapped_memory&&) noexcept;
  ~mapped_memory();

  std::byte* data() const { return data_; }
  std::uint64_t bytes() const { return bytes_; }
  /// The file behind make_shared's memory, open as long as this lives; -1: none.
  int fd() const { return fd_; }
  float* floats() const { return reinterpret_cast<float*>(data_); }

  /// Asks for huge pages: fewer TLB misses in memory that is read from end to end.
  void prefer_huge_pages();

private:
  mapped_memory(std::byte* data, std::uint64_t bytes) : data_(data), bytes_(bytes) {}

  std::byte* data_ = nullptr;
  std::uint64_t bytes_ = 0;
  int fd_ = -1;
};

} // namespace troupe::gpu::host
