// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>

namespace troupe::test {

/// A file in the build folder that holds `bytes`, removed at the end of its scope.
class damaged_copy {
public:
  damaged_copy(const std::string& name, std::span<const std::byte> bytes)
    : path_(std::filesystem::path(TROUPE_BINARY_DIR) / name) {
    std::ofstream out(path_, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  damaged_copy(const damaged_copy&) = delete;
  damaged_copy& operator=(const damaged_copy&) = delete;
  ~damaged_copy() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
};

} // namespace troupe::test
