// SPDX-License-Identifier: Apache-2.0
#include "gpu/model/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "messages/descriptor.hpp"

namespace troupe::gpu {

namespace {

unexpected<error> system_failure(const std::filesystem::path& path, std::string_view what) {
  return fail(errc::resource, path.string() + ": " + std::string{what} + ": " + std::strerror(errno));
}

} // namespace

expected<mapped_file, error> mapped_file::open(const std::filesystem::path& path) {
  // Without O_NONBLOCK, opening a FIFO would wait for its writer.
  const descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!file)
    return system_failure(path, "cannot open");
  struct stat info{};
  if (::fstat(file.get(), &info) != 0)
    return system_failure(path, "cannot ask for its size");
  if (!S_ISREG(info.st_mode))
    return fail(errc::resource, path.string() + ": not a regular file");
  if (info.st_size == 0)
    return fail(errc::malformed_file, path.string() + ": the file is empty (byte 0)");
  auto bytes = static_cast<std::size_t>(info.st_size);
  auto address = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED)
    return system_failure(path, "cannot map");
  return mapped_file{{static_cast<const std::byte*>(address), bytes}};
}

mapped_file::~mapped_file() {
  if (!bytes_.empty())
    ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

} // namespace troupe::gpu
