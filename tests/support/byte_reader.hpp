// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "messages/errc.hpp"

namespace troupe::test {

static_assert(std::endian::native == std::endian::little, "golden files are little-endian");

/// Reads a golden file from front to back. A read past the end marks the reader as failed and gives
/// zeros, so that a caller checks once per section.
class byte_reader {
public:
  explicit byte_reader(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <class T>
    requires std::is_trivially_copyable_v<T>
  T take() {
    T value{};
    if (rest_.size() < sizeof(T)) {
      failed_ = true;
      rest_ = {};
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_ = rest_.subspan(sizeof(T));
    return value;
  }

  /// `count` values; none, and failed, where the file is shorter. Allocates only what the file holds.
  template <class T>
  std::vector<T> take_many(std::size_t count) {
    if (rest_.size() / sizeof(T) < count) {
      failed_ = true;
      rest_ = {};
      return {};
    }
    std::vector<T> values(count);
    if (count > 0)
      std::memcpy(values.data(), rest_.data(), count * sizeof(T));
    rest_ = rest_.subspan(count * sizeof(T));
    return values;
  }

  bool take_magic(std::string_view magic) { return std::string_view(take<std::array<char, 8>>().data(), 8) == magic; }

  bool failed() const { return failed_; }
  std::size_t remaining() const { return rest_.size(); }

private:
  std::span<const std::byte> rest_;
  bool failed_ = false;
};

/// A whole file, at most 16 MiB.
inline expected<std::vector<std::byte>, error> read_golden_file(const std::filesystem::path& path) {
  constexpr std::uintmax_t bytes_max = 16u << 20;
  std::error_code code;
  const auto size = std::filesystem::file_size(path, code);
  if (code)
    return fail(errc::resource, path.string() + ": " + code.message());
  if (size > bytes_max)
    return fail(errc::resource, path.string() + " is too large for a golden file");
  std::vector<std::byte> bytes(size);
  std::ifstream in(path, std::ios::binary);
  if (!in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size)))
    return fail(errc::resource, "cannot read " + path.string());
  return bytes;
}

} // namespace troupe::test
