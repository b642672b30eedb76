// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/errc.hpp"
#include "messages/expected.hpp"

namespace troupe::gpu {

/// Tensor element types of GGUF, with GGML's numbers. Only those named here are known; a file with
/// another one opens (its tokenizer may be wanted), but the tensor's type reads as the raw number.
enum class tensor_type : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  bf16 = 30,
};

/// Name for messages: "Q4_1"; "type 10 (Q2_K)" for a type of GGML's that is not supported here, and
/// "type 99" for a number that GGML does not use.
std::string to_string(tensor_type);

/// How a tensor's elements are packed: `elements` of dims[0] share `bytes` bytes.
struct packing {
  std::uint32_t elements = 0;
  std::uint32_t bytes = 0;
};
/// {0, 0} for a type that is not one of tensor_type's.
packing packing_of(tensor_type);

struct tensor_info {
  std::string name;
  tensor_type type{};
  /// GGUF order: dims[0] is the contiguous one. Unused trailing dimensions are 1.
  std::array<std::uint64_t, 4> dims{1, 1, 1, 1};
  /// The tensor's bytes inside the mapped file, at least 8-byte aligned; exactly as many as type and
  /// dims ask for. Empty if the type is not one of tensor_type's.
  std::span<const std::byte> data;
};

/// Caps on what a file may make us hold or walk through. Beside the mapping, memory is at most a few
/// hundred bytes per key and tensor; arrays are decoded only when they are asked for.
struct gguf_limits {
  std::uint64_t tensors_max = 65'536;
  std::uint64_t keys_max = 65'536;
  std::uint64_t array_elements_max = 16'777'216;
  std::uint64_t string_bytes_max = 16'777'216;
};

/// A GGUF v2 or v3 file, little-endian, mapped read-only. Every length, offset and count is checked
/// against the file when it is opened, so that what this class returns can be read without further
/// checks. Not handled: somebody who shortens the file while it is mapped, which ends the process with
/// SIGBUS; replace model files by renaming, as package managers do.
///
/// Immutable after open, so every const function may be called from any thread. Spans and views live as
/// long as the object, or the one that it was moved to.
/// Source of the format: ggml's docs/gguf.md.
class gguf_file {
public:
  using limits = gguf_limits;

  /// errc::resource if the file cannot be read or mapped; errc::malformed_file, with the byte offset and
  /// the key or tensor, if it contradicts itself; errc::unsupported for another version or byte order.
  static expected<gguf_file, error> open(const std::filesystem::path&, limits = {});

  gguf_file(gguf_file&&) noexcept;
  gguf_file& operator=(gguf_file&&) noexcept;
  ~gguf_file();

  /// Metadata by key; errc::missing names the key and what was found instead. Integer keys accept every
  /// integer type of GGUF whose value fits, float keys both float types.
  expected<std::uint64_t, error> find_uint(std::string_view key) const;
  expected<double, error> find_float(std::string_view key) const;
  expected<bool, error> find_bool(std::string_view key) const;
  expected<std::string_view, error> find_string(std::string_view key) const;
  expected<std::vector<std::string_view>, error> find_strings(std::string_view key) const;
  expected<std::vector<float>, error> find_floats(std::string_view key) const;
  expected<std::vector<std::int64_t>, error> find_ints(std::string_view key) const;
  bool has(std::string_view key) const;

  /// In the file's order.
  std::span<const tensor_info> tensors() const;
  /// nullptr if there is none of that name.
  const tensor_info* find_tensor(std::string_view name) const;

  std::uint64_t file_bytes() const;
  const std::filesystem::path& path() const;

private:
  struct content;
  explicit gguf_file(std::unique_ptr<content>);
  std::unique_ptr<content> content_;
};

} // namespace troupe::gpu
