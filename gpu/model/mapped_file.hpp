// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <utility>

#include "gpu/errc.hpp"
#include "messages/expected.hpp"

namespace troupe::gpu {

/// A read-only mapping of a whole regular file, until its end. Not handled: somebody who shortens the file
/// meanwhile, which ends the process with SIGBUS; replace model files by renaming, as package managers do.
class mapped_file {
public:
  /// errc::resource if it cannot be opened or mapped, errc::malformed_file if it is empty.
  static expected<mapped_file, error> open(const std::filesystem::path&);

  mapped_file(mapped_file&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  mapped_file& operator=(mapped_file&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~mapped_file();

  std::span<const std::byte> bytes() const { return bytes_; }

private:
  explicit mapped_file(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

} // namespace troupe::gpu
