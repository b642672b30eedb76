// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>

#include <unistd.h>

namespace troupe::test {

/// A folder of one's own in memory, for inputs that are read as files. It stays until the process ends, and is then
/// removed unless that is a crash.
class fuzzed_folder {
public:
  fuzzed_folder() {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directory(path_);
  }
  fuzzed_folder(const fuzzed_folder&) = delete;
  fuzzed_folder& operator=(const fuzzed_folder&) = delete;
  ~fuzzed_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

  /// Replaces the file and returns its path.
  std::filesystem::path write(const char* name, std::string_view content) const {
    auto path = path_ / name;
    std::ofstream file{path, std::ios::binary};
    file.write(content.data(), static_cast<std::streamsize>(content.size()));
    if (!file.flush())
      std::abort(); // the folder is full: silence would say nothing
    return path;
  }
  std::filesystem::path write(const char* name, std::span<const std::uint8_t> content) const {
    return write(name, std::string_view{reinterpret_cast<const char*>(content.data()), content.size()});
  }

  void remove(const char* name) const { std::filesystem::remove(path_ / name); }

private:
  std::filesystem::path path_ = std::filesystem::path{"/dev/shm"} / ("troupe_fuzz_" + std::to_string(::getpid()));
};

/// Reads every byte, so that AddressSanitizer sees those that are not there.
inline void read_all(std::span<const std::byte> bytes) {
  unsigned char sum = 0;
  for (const auto byte : bytes)
    sum = static_cast<unsigned char>(sum + std::to_integer<unsigned char>(byte));
  [[maybe_unused]] volatile unsigned char result = sum;
}

} // namespace troupe::test
