// SPDX-License-Identifier: Apache-2.0
#include "tests/support/gguf_writer.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "gpu/model/gguf_parser.hpp"

namespace troupe::test {

namespace {

using gpu::gguf_type;

void append(std::vector<std::byte>& to, std::span<const std::byte> bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

template <class T>
void append_number(std::vector<std::byte>& to, T value) {
  append(to, std::as_bytes(std::span{&value, 1}));
}

void append_string(std::vector<std::byte>& to, std::string_view text) {
  append_number(to, std::uint64_t{text.size()});
  append(to, std::as_bytes(std::span{text}));
}

constexpr std::uint32_t number_of(gguf_type type) { return static_cast<std::uint32_t>(type); }

} // namespace

gguf_writer::gguf_writer(std::uint32_t version) : version_(version) {}

void gguf_writer::begin_key(std::string_view key, std::uint32_t type) {
  append_string(key_bytes_, key);
  append_number(key_bytes_, type);
  ++keys_;
}

void gguf_writer::add_raw(std::string_view key, std::uint32_t type, std::span<const std::byte> payload) {
  begin_key(key, type);
  append(key_bytes_, payload);
}

void gguf_writer::add_alignment(std::uint32_t alignment) {
  add_uint32("general.alignment", alignment);
  alignment_ = alignment;
}

void gguf_writer::add_uint32(std::string_view key, std::uint32_t value) {
  begin_key(key, number_of(gguf_type::u32));
  append_number(key_bytes_, value);
}

void gguf_writer::add_uint64(std::string_view key, std::uint64_t value) {
  begin_key(key, number_of(gguf_type::u64));
  append_number(key_bytes_, value);
}

void gguf_writer::add_int32(std::string_view key, std::int32_t value) {
  begin_key(key, number_of(gguf_type::i32));
  append_number(key_bytes_, value);
}

void gguf_writer::add_float(std::string_view key, float value) {
  begin_key(key, number_of(gguf_type::f32));
  append_number(key_bytes_, value);
}

void gguf_writer::add_double(std::string_view key, double value) {
  begin_key(key, number_of(gguf_type::f64));
  append_number(key_bytes_, value);
}

void gguf_writer::add_bool(std::string_view key, bool value) {
  begin_key(key, number_of(gguf_type::boolean));
  append_number(key_bytes_, std::uint8_t{value});
}

void gguf_writer::add_string(std::string_view key, std::string_view value) {
  begin_key(key, number_of(gguf_type::string));
  append_string(key_bytes_, value);
}

void gguf_writer::add_strings(std::string_view key, std::span<const std::string> values) {
  begin_key(key, number_of(gguf_type::array));
  append_number(key_bytes_, number_of(gguf_type::string));
  append_number(key_bytes_, std::uint64_t{values.size()});
  for (auto& value : values)
    append_string(key_bytes_, value);
}

void gguf_writer::add_floats(std::string_view key, std::span<const float> values) {
  begin_key(key, number_of(gguf_type::array));
  append_number(key_bytes_, number_of(gguf_type::f32));
  append_number(key_bytes_, std::uint64_t{values.size()});
  append(key_bytes_, std::as_bytes(values));
}

void gguf_writer::add_ints(std::string_view key, std::span<const std::int32_t> values) {
  begin_key(key, number_of(gguf_type::array));
  append_number(key_bytes_, number_of(gguf_type::i32));
  append_number(key_bytes_, std::uint64_t{values.size()});
  append(key_bytes_, std::as_bytes(values));
}

void gguf_writer::add_tensor(std::string_view name, gpu::tensor_type type, std::span<const std::uint64_t> dims,
                             std::span<const std::byte> data) {
  tensors_.push_back({std::string{name}, type, {dims.begin(), dims.end()}, {data.begin(), data.end()}});
}

void gguf_writer::add_tensor(std::string_view name, std::span<const std::uint64_t> dims, std::span<const float> data) {
  add_tensor(name, gpu::tensor_type::f32, dims, std::as_bytes(data));
}

std::vector<std::byte> gguf_writer::finish() const {
  auto aligned = [this](std::uint64_t n) { return (n + alignment_ - 1) / alignment_ * alignment_; };
  std::vector<std::byte> result;
  append(result, std::as_bytes(std::span{std::string_view{"GGUF"}}));
  append_number(result, version_);
  append_number(result, std::uint64_t{tensors_.size()});
  append_number(result, keys_);
  append(result, key_bytes_);
  std::uint64_t offset = 0;
  for (auto& t : tensors_) {
    append_string(result, t.name);
    append_number(result, static_cast<std::uint32_t>(t.dims.size()));
    for (auto extent : t.dims)
      append_number(result, extent);
    append_number(result, static_cast<std::uint32_t>(t.type));
    append_number(result, offset);
    offset += aligned(t.data.size());
  }
  for (auto& t : tensors_) {
    result.resize(aligned(result.size()));
    append(result, t.data);
  }
  return result;
}

temporary_file::temporary_file(std::span<const std::byte> bytes) {
  auto name = (std::filesystem::temp_directory_path() / "troupe-test-XXXXXX").string();
  auto fd = ::mkstemp(name.data());
  auto file = fd >= 0 ? ::fdopen(fd, "wb") : nullptr;
  // An empty span has no address, and fwrite must not be given none.
  auto written = file != nullptr && (bytes.empty() || std::fwrite(bytes.data(), bytes.size(), 1, file) == 1);
  if (!written || std::fclose(file) != 0) {
    std::perror(name.c_str());
    std::abort();
  }
  path_ = name;
}

temporary_file::~temporary_file() {
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

} // namespace troupe::test
