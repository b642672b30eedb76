// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/model/gguf.hpp"

namespace troupe::test {

/// Builds a GGUF file in memory: keys and tensors in the order of the calls. It checks nothing, so that
/// a test can write what no honest file holds.
class gguf_writer {
public:
  static constexpr std::uint32_t alignment_default = 32;

  explicit gguf_writer(std::uint32_t version = 3);

  /// Also sets the alignment of what follows in finish().
  void add_alignment(std::uint32_t);
  void add_uint32(std::string_view key, std::uint32_t);
  void add_uint64(std::string_view key, std::uint64_t);
  void add_int32(std::string_view key, std::int32_t);
  void add_float(std::string_view key, float);
  void add_double(std::string_view key, double);
  void add_bool(std::string_view key, bool);
  void add_string(std::string_view key, std::string_view);
  void add_strings(std::string_view key, std::span<const std::string>);
  void add_floats(std::string_view key, std::span<const float>);
  void add_ints(std::string_view key, std::span<const std::int32_t>);
  /// A key with any type number and payload.
  void add_raw(std::string_view key, std::uint32_t type, std::span<const std::byte> payload);

  /// `dims` in GGUF's order, contiguous one first; `data` is written as it is, whatever the type.
  void add_tensor(std::string_view name, gpu::tensor_type, std::span<const std::uint64_t> dims,
                  std::span<const std::byte> data);
  void add_tensor(std::string_view name, std::span<const std::uint64_t> dims, std::span<const float> data);

  std::vector<std::byte> finish() const;

private:
  struct tensor {
    std::string name;
    gpu::tensor_type type;
    std::vector<std::uint64_t> dims;
    std::vector<std::byte> data;
  };
  void begin_key(std::string_view key, std::uint32_t type);

  std::uint32_t version_;
  std::uint32_t alignment_ = alignment_default;
  std::uint64_t keys_ = 0;
  std::vector<std::byte> key_bytes_;
  std::vector<tensor> tensors_;
};

/// A path of its own in the temporary directory, holding `bytes`; the file is removed at the end.
class temporary_file {
public:
  explicit temporary_file(std::span<const std::byte> bytes);
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;
  ~temporary_file();
  const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
};

} // namespace troupe::test
