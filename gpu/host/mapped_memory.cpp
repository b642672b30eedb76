// SPDX-License-Identifier: Apache-2.0
#include "gpu/host/mapped_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

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

expected<mapped_memory, error> mapped_memory::make_shared(std::uint64_t bytes) {
  if (bytes == 0)
    return mapped_memory{};
  auto refused = [&](const std::string& what) {
    return fail(errc::resource, what + " of " + std::to_string(bytes) + " bytes: " + std::strerror(errno));
  };
  mapped_memory result;
  result.fd_ = ::memfd_create("troupe", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (result.fd_ < 0 || ::ftruncate(result.fd_, static_cast<off_t>(bytes)) != 0
      || ::fcntl(result.fd_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return refused("cannot make a memory file");
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, result.fd_, 0);
  if (data == MAP_FAILED)
    return refused("cannot map a memory file");
  result.data_ = static_cast<std::byte*>(data);
  result.bytes_ = bytes;
  return result;
}

mapped_memory::mapped_memory(mapped_memory&& other) noexcept
  : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)),
    fd_(std::exchange(other.fd_, -1)) {}

mapped_memory& mapped_memory::operator=(mapped_memory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(fd_, other.fd_);
  return *this;
}

mapped_memory::~mapped_memory() {
  if (data_ != nullptr)
    ::munmap(data_, bytes_);
  if (fd_ >= 0)
    ::close(fd_);
}

void mapped_memory::prefer_huge_pages() {
  if (data_ != nullptr)
    ::madvise(data_, bytes_, MADV_HUGEPAGE); // a wish: refused where the kernel has none
}

} // namespace troupe::gpu::host
