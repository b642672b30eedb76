// SPDX-License-Identifier: Apache-2.0
#include "gpu/host/mapped_memory.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

using namespace troupe::gpu::host;

TEST_CASE("shared memory is zero, is that of its file, and the file can neither shrink nor grow") {
  constexpr std::uint64_t bytes = 3 * 4096;
  auto memory = *mapped_memory::make_shared(bytes);
  REQUIRE(memory.bytes() == bytes);
  REQUIRE(memory.fd() >= 0);
  CHECK(std::all_of(memory.data(), memory.data() + bytes, [](std::byte b) { return b == std::byte{0}; }));
  auto other = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd(), 0);
  REQUIRE(other != MAP_FAILED);
  static_cast<std::byte*>(other)[bytes - 1] = std::byte{9};
  CHECK(memory.data()[bytes - 1] == std::byte{9});
  ::munmap(other, bytes);
  CHECK(::ftruncate(memory.fd(), 4096) != 0);
  CHECK(::ftruncate(memory.fd(), 2 * bytes) != 0);
  CHECK((::fcntl(memory.fd(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("the file of shared memory moves along and is closed once") {
  int fd = -1;
  {
    auto first = *mapped_memory::make_shared(4096);
    fd = first.fd();
    auto second = std::move(first);
    CHECK(first.fd() == -1);
    CHECK(second.fd() == fd);
    first = std::move(second);
    CHECK(first.fd() == fd);
    CHECK(::fcntl(fd, F_GETFD) >= 0);
  }
  CHECK(::fcntl(fd, F_GETFD) < 0);
  CHECK(mapped_memory::make(4096)->fd() == -1);
  CHECK(mapped_memory::make_shared(0)->bytes() == 0);
  CHECK(mapped_memory::make_shared(~std::uint64_t{0} >> 1).error().code == troupe::gpu::errc::resource);
}
