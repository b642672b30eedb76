// SPDX-License-Identifier: Apache-2.0
#include "gpu/model/gguf.hpp"

#include <concepts>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "gpu/model/gguf_parser.hpp"
#include "gpu/model/in_quotes.hpp"
#include "gpu/model/mapped_file.hpp"

namespace troupe::gpu {

namespace {

template <class T>
T load(std::span<const std::byte> bytes, std::uint64_t index) {
  T result;
  std::memcpy(&result, bytes.data() + index * sizeof(T), sizeof(T));
  return result;
}

template <std::integral To, std::integral From>
std::optional<To> fit(From value) {
  if (std::in_range<To>(value))
    return static_cast<To>(value);
  return std::nullopt;
}

// Element `index` of a number or array of numbers, if it is an integer and fits.
template <std::integral To>
std::optional<To> integer_at(const gguf_value& value, std::uint64_t index) {
  switch (value.element) {
    case gguf_type::u8: return fit<To>(load<std::uint8_t>(value.bytes, index));
    case gguf_type::i8: return fit<To>(load<std::int8_t>(value.bytes, index));
    case gguf_type::u16: return fit<To>(load<std::uint16_t>(value.bytes, index));
    case gguf_type::i16: return fit<To>(load<std::int16_t>(value.bytes, index));
    case gguf_type::u32: return fit<To>(load<std::uint32_t>(value.bytes, index));
    case gguf_type::i32: return fit<To>(load<std::int32_t>(value.bytes, index));
    case gguf_type::u64: return fit<To>(load<std::uint64_t>(value.bytes, index));
    case gguf_type::i64: return fit<To>(load<std::int64_t>(value.bytes, index));
    case gguf_type::f32:
    case gguf_type::f64:
    case gguf_type::boolean:
    case gguf_type::string:
    case gguf_type::array: break;
  }
  return std::nullopt;
}

std::optional<double> float_at(const gguf_value& value, std::uint64_t index) {
  if (value.element == gguf_type::f32)
    return load<float>(value.bytes, index);
  if (value.element == gguf_type::f64)
    return load<double>(value.bytes, index);
  return std::nullopt;
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

unexpected<error> wrong_type(std::string_view key, const gguf_value& found, std::string_view wanted) {
  auto is = std::string{to_string(found.type)};
  if (found.type == gguf_type::array)
    is = "array of " + std::to_string(found.count) + " " + std::string{to_string(found.element)};
  return fail(errc::missing, "key " + in_quotes(key) + " is " + is + ", not " + std::string{wanted});
}

unexpected<error> does_not_fit(std::string_view key, std::string_view wanted) {
  return fail(errc::missing, "key " + in_quotes(key) + " has a value that is not " + std::string{wanted});
}

bool is_integer(gguf_type type) {
  return bytes_of(type) != 0 && type != gguf_type::f32 && type != gguf_type::f64 && type != gguf_type::boolean;
}

} // namespace

struct gguf_file::content {
  std::filesystem::path path;
  mapped_file file;
  gguf_contents contents;

  expected<const gguf_value*, error> find(std::string_view key) const {
    auto i = contents.keys.find(key);
    if (i == contents.keys.end())
      return fail(errc::missing, "key " + in_quotes(key) + " is missing");
    return &i->second;
  }
};

gguf_file::gguf_file(std::unique_ptr<content> c) : content_(std::move(c)) {}
gguf_file::gguf_file(gguf_file&&) noexcept = default;
gguf_file& gguf_file::operator=(gguf_file&&) noexcept = default;
gguf_file::~gguf_file() = default;

expected<gguf_file, error> gguf_file::open(const std::filesystem::path& path, limits bounds) {
  auto file = mapped_file::open(path);
  if (!file)
    return unexpected{file.error()};
  auto contents = parse_gguf(file->bytes(), bounds);
  if (!contents)
    return fail(contents.error().code, path.string() + ": " + contents.error().context);
  return gguf_file{std::make_unique<content>(content{path, *std::move(file), *std::move(contents)})};
}

expected<std::uint64_t, error> gguf_file::find_uint(std::string_view key) const {
  constexpr std::string_view wanted = "an unsigned integer";
  auto value = content_->find(key);
  if (!value)
    return unexpected{value.error()};
  if (!is_integer((*value)->type))
    return wrong_type(key, **value, wanted);
  if (auto number = integer_at<std::uint64_t>(**value, 0))
    return *number;
  return does_not_fit(key, wanted);
}

expected<double, error> gguf_file::find_float(std::string_view key) const {
  auto value = content_->find(key);
  if (!value)
    return unexpected{value.error()};
  if ((*value)->type != gguf_type::array)
    if (auto number = float_at(**value, 0))
      return *number;
  return wrong_type(key, **value, "a float");
}

expected<bool, error> gguf_file::find_bool(std::string_view key) const {
  auto value = content_->find(key);
  if (!value)
    return unexpected{value.error()};
  if ((*value)->type != gguf_type::boolean)
    return wrong_type(key, **value, "a bool");
  return std::to_integer<int>((*value)->bytes[0]) == 1;
}

expected<std::string_view, error> gguf_file::find_string(std::string_view key) const {
  auto value = content_->find(key);
  if (!value)
    return unexpected{value.error()};
  if ((*value)->type != gguf_type::string)
    return wrong_type(key, **value, "a string");
  return as_text((*value)->bytes);
}

expected<std::vector<std::string_view>, error> gguf_file::find_strings(std::string_view key) const {
  auto value = content_->find(key);
  if (!value)
    return unexpected{value.error()};
  auto& [type, element, count, bytes] = **value;
  if (type != gguf_type::array || element != gguf_type::string)
    return wrong_type(key, **value, "an array of strings");
  std::vector<std::string_view> result;
  result.reserve(count);
  // Lengths were checked when the file was opened.
  std::uint64_t at = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    auto length = load<std::uint64_t>(bytes.subspan(at, 8), 0);
    result.push_back(as_text(bytes.subspan(at + 8, length)));
    at += 8 + length;
  }
  return result;
}

expected<std::vector<float>, error> gguf_file::find_floats(std::string_view key) const {
  auto value = content_->find(key);
  if (!value)
    return unexpected{value.error()};
  auto is_float = (*value)->element == gguf_type::f32 || (*value)->element == gguf_type::f64;
  if ((*value)->type != gguf_type::array || !is_float)
    return wrong_type(key, **value, "an array of floats");
  std::vector<float> result;
  result.reserve((*value)->count);
  for (std::uint64_t i = 0; i < (*value)->count; ++i)
    result.push_back(static_cast<float>(*float_at(**value, i)));
  return result;
}

expected<std::vector<std::int64_t>, error> gguf_file::find_ints(std::string_view key) const {
  auto value = content_->find(key);
  if (!value)
    return unexpected{value.error()};
  if ((*value)->type != gguf_type::array || !is_integer((*value)->element))
    return wrong_type(key, **value, "an array of integers");
  std::vector<std::int64_t> result;
  result.reserve((*value)->count);
  for (std::uint64_t i = 0; i < (*value)->count; ++i) {
    auto number = integer_at<std::int64_t>(**value, i);
    if (!number)
      return does_not_fit(key, "a signed 64-bit integer");
    result.push_back(*number);
  }
  return result;
}

bool gguf_file::has(std::string_view key) const { return content_->contents.keys.contains(key); }

std::span<const tensor_info> gguf_file::tensors() const { return content_->contents.tensors; }

const tensor_info* gguf_file::find_tensor(std::string_view name) const {
  auto& index = content_->contents.tensor_index;
  auto i = index.find(name);
  return i == index.end() ? nullptr : &content_->contents.tensors[i->second];
}

std::uint64_t gguf_file::file_bytes() const { return content_->file.bytes().size(); }

const std::filesystem::path& gguf_file::path() const { return content_->path; }

} // namespace troupe::gpu
