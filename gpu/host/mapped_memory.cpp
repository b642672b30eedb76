// SPDX-License-Identifier: Apache-2.0
#include "gpu/host/mapped_memory.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace troupe::gpu::host {

expected<mapped_memory, error> mapped_memory::make(std::uint64_t bytes) {
  if (bytes == 0)
    return mapped_memory{};
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED)
    return fail(errc::resource, "cannot map " + std::to_string(bytes) + " bytes: " + std::strerror(errno));
  return mapped_memory{static_cast<std::byte*>(data), bytes};
}

mapped_memory::mapped_memory(mapped_memory&& other) noexcept
  : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

mapped_memory& mapped_memory::operator=(mapped_memory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

mapped_memory::~mapped_memory() {
  if (data_ != nullptr)
    ::munmap(data_, bytes_);
}

void mapped_memory::prefer_huge_pages() {
  if (data_ != nullptr)
    ::madvise(data_, bytes_, MADV_HUGEPAGE); // a wish: refused where the kernel has none
}

} // namespace troupe::gpu::host
