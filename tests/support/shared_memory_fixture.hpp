// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "tests/support/transport_fixture.hpp"
#include "transport/random_peer.hpp"
#include "transport/shared_memory/shared_memory_backend.hpp"

namespace troupe::test {

/// Memory with a file behind it.
class memory_file {
public:
  explicit memory_file(std::size_t bytes, int seals = F_SEAL_SHRINK | F_SEAL_GROW)
    : bytes_(bytes), fd_(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
    if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0 || ::fcntl(fd_, F_ADD_SEALS, seals) != 0)
      std::abort();
    auto data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (data == MAP_FAILED)
      std::abort();
    data_ = static_cast<std::byte*>(data);
  }
  memory_file(const memory_file&) = delete;
  memory_file& operator=(const memory_file&) = delete;
  ~memory_file() {
    ::munmap(data_, bytes_);
    ::close(fd_);
  }

  std::span<std::byte> bytes() const { return {data_, bytes_}; }
  int fd() const { return fd_; }
  region_view view() const { return {.data = data_, .bytes = bytes_, .keep_alive = {}, .fd = fd_}; }

private:
  std::size_t bytes_;
  int fd_;
  std::byte* data_ = nullptr;
};

/// Random, since other processes may run the same test.
inline transport::peer_id random_peer() { return transport::random_peer_id().value(); }

/// A back end with a file of its own, registered.
struct shared_endpoint {
  memory_file file;
  std::span<std::byte> memory = file.bytes();
  std::unique_ptr<transport::shared_memory_backend> bytes;
  region_id region;

  explicit shared_endpoint(std::size_t size, transport::shared_memory_config config = {})
    : file(size), bytes(std::move(transport::shared_memory_backend::make(random_peer(), config)).value()),
      region(*bytes->add_region(file.view())) {}

  /// Lets `writer` write into this one's memory.
  transport::remote_region open_to(shared_endpoint& writer) {
    auto text = bytes->describe(region, writer.bytes->self());
    return *writer.bytes->import(bytes->self(), *text);
  }

  /// One run on either side.
  expected<transport::ticket, transport::error> write(transport::remote_region target, transport::run from,
                                                      transport::run to, std::span<const std::byte> note = {},
                                                      transport::steady_time deadline = soon()) {
    return bytes->write(region, std::span{&from, 1}, target, std::span{&to, 1}, note, deadline);
  }
};

/// How the one operation that is under way ends.
inline transport::completion await_end(transport::backend& of) { return await_news(of, 1, 0).completions.at(0); }

} // namespace troupe::test
