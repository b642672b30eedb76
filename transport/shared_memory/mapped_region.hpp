// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "transport/shared_memory/socket.hpp"
#include "transport/transport.hpp"

namespace troupe::transport {

/// A peer's region, mapped here. It holds the connection over which it came, and unmaps before it lets go: so the
/// owner, who sees that connection end, knows that nothing can be written through it any more.
///
/// The same holds if the process dies in any way: the kernel takes a thread's memory map away before its open files, so
/// by the time the last thread has given the socket up, none can run a store.
class mapped_region {
public:
  /// Maps `bytes` bytes from `offset` on. errc::out_of_range if the file is shorter, errc::invalid_argument if it may
  /// be made shorter later (a store would then end this process), errc::resource if the system refuses.
  static expected<std::shared_ptr<mapped_region>, error>
  make(const descriptor& file, std::uint64_t offset, std::uint64_t bytes, std::shared_ptr<const descriptor> connection);

  mapped_region(const mapped_region&) = delete;
  mapped_region& operator=(const mapped_region&) = delete;
  ~mapped_region();

  std::byte* data() const { return begin_ + before_; }
  std::uint64_t bytes() const { return mapped_bytes_ - before_; }

private:
  mapped_region(std::shared_ptr<const descriptor> connection, std::byte* begin, std::uint64_t mapped_bytes,
                std::uint64_t before)
    : connection_(std::move(connection)), begin_(begin), mapped_bytes_(mapped_bytes), before_(before) {}

  const std::shared_ptr<const descriptor> connection_; // released after the destructor's body has unmapped
  std::byte* const begin_;
  const std::uint64_t mapped_bytes_;
  const std::uint64_t before_; // of the first page, not part of the region
};

/// The file holds these bytes and cannot be made shorter; errors as of mapped_region::make.
expected<void, error> check_shared_file(int file, std::uint64_t offset, std::uint64_t bytes);

} // namespace troupe::transport
