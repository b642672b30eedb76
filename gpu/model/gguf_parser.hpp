// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/errc.hpp"
#include "gpu/model/gguf.hpp"

// The checked walk over a GGUF file's bytes, apart from how they came into memory, so that tests can
// put them where every read beyond the end is seen.
namespace troupe::gpu {

/// Metadata types, with GGUF's numbers.
enum class gguf_type : std::uint32_t { u8 = 0, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

/// For messages, e.g. "u32".
std::string_view to_string(gguf_type);
/// Bytes of one value; 0 for strings and arrays.
std::uint64_t bytes_of(gguf_type);

/// A checked metadata value, still encoded. Strings of an array are each a u64 length and that many bytes.
struct gguf_value {
  gguf_type type{};
  /// Type of the elements, for an array; otherwise equal to type.
  gguf_type element{};
  /// Number of elements; 1 unless an array.
  std::uint64_t count = 1;
  /// A number's bytes, a string's characters, or an array's elements without its header.
  std::span<const std::byte> bytes;
};

/// What a file holds. Everything points into the parsed bytes, which must outlive it.
struct gguf_contents {
  std::map<std::string_view, gguf_value> keys;
  std::vector<tensor_info> tensors;
  std::map<std::string_view, std::size_t> tensor_index;
};

/// Walks the whole header and checks it against the size of `file`. Time and memory are linear in the
/// header's bytes (keys and tensors: times a logarithm). Errors as gguf_file::open, without the path.
/// REQUIRES: file.data() is 8-byte aligned, so that tensors are.
expected<gguf_contents, error> parse_gguf(std::span<const std::byte> file, const gguf_limits&);

} // namespace troupe::gpu
