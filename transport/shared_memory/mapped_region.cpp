// SPDX-License-Identifier: Apache-2.0
#include "transport/shared_memory/mapped_region.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace troupe::transport {

expected<void, error> check_shared_file(int file, std::uint64_t offset, std::uint64_t bytes) {
  auto seals = ::fcntl(file, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
    return fail(errc::invalid_argument, "not a memory file that is sealed against shrinking");
  struct stat facts {};
  if (::fstat(file, &facts) != 0)
    return fail(errc::resource, std::string{"cannot ask for the size of a file: "} + std::strerror(errno));
  auto size = static_cast<std::uint64_t>(facts.st_size);
  if (bytes == 0 || offset > size || bytes > size - offset)
    return fail(errc::out_of_range, "a file of " + std::to_string(size) + " bytes for a region of "
                                      + std::to_string(bytes) + " from " + std::to_string(offset) + " on");
  return {};
}

expected<std::shared_ptr<mapped_region>, error> mapped_region::make(const descriptor& file, std::uint64_t offset,
                                                                    std::uint64_t bytes,
                                                                    std::shared_ptr<const descriptor> connection) {
  if (auto sound = check_shared_file(file.get(), offset, bytes); !sound)
    return unexpected{sound.error()};
  auto before = offset % static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  auto data = ::mmap(nullptr, before + bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file.get(),
                     static_cast<off_t>(offset - before));
  if (data == MAP_FAILED)
    return fail(errc::resource, "cannot map " + std::to_string(bytes) + " bytes: " + std::strerror(errno));
  ::madvise(data, before + bytes, MADV_DONTFORK); // a child must not keep it: nobody could fence that
  return std::shared_ptr<mapped_region>{
    new mapped_region(std::move(connection), static_cast<std::byte*>(data), before + bytes, before)};
}

mapped_region::~mapped_region() { ::munmap(begin_, mapped_bytes_); }

} // namespace troupe::transport
