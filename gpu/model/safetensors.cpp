// SPDX-License-Identifier: Apache-2.0
#include "gpu/model/safetensors.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "gpu/model/in_quotes.hpp"
#include "gpu/model/json_file.hpp"

namespace troupe::gpu {

namespace {

constexpr std::uint64_t length_bytes = 8;
constexpr std::size_t dimensions_max = 4;

struct element_type {
  std::string_view name;
  std::uint32_t bytes;
  tensor_type type;
};

constexpr element_type element_types[] = {
  {"F32", 4, tensor_type::f32},
  {"F16", 2, tensor_type::f16},
  {"BF16", 2, tensor_type::bf16},
  {"F64", 8, unknown_safetensors_type},
  {"I64", 8, unknown_safetensors_type},
  {"I32", 4, unknown_safetensors_type},
  {"I16", 2, unknown_safetensors_type},
  {"I8", 1, unknown_safetensors_type},
  {"U64", 8, unknown_safetensors_type},
  {"U32", 4, unknown_safetensors_type},
  {"U16", 2, unknown_safetensors_type},
  {"U8", 1, unknown_safetensors_type},
  {"BOOL", 1, unknown_safetensors_type},
  {"F8_E4M3", 1, unknown_safetensors_type},
  {"F8_E5M2", 1, unknown_safetensors_type},
};

unexpected<error> malformed(const std::string& why) { return fail(errc::malformed_file, "safetensors: " + why); }

unexpected<error> malformed(const std::string& tensor, const std::string& why) {
  return malformed("tensor " + in_quotes(tensor) + " " + why);
}

struct extent {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// A tensor, and where the header says that its bytes are within the data.
struct placed_tensor {
  tensor_info info;
  extent where;
};

expected<placed_tensor, error> parse_tensor(const std::string& name, const nlohmann::json& entry,
                                            std::span<const std::byte> data) {
  if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string() || !entry.contains("shape")
      || !entry["shape"].is_array() || !entry.contains("data_offsets") || !entry["data_offsets"].is_array()
      || entry["data_offsets"].size() != 2 || !entry["data_offsets"][0].is_number_unsigned()
      || !entry["data_offsets"][1].is_number_unsigned())
    return malformed(name, "lacks dtype, shape or data_offsets, or one is of another type");
  const auto& type_name = entry["dtype"].get_ref<const std::string&>();
  const auto* type = std::ranges::find(element_types, type_name, &element_type::name);
  if (type == std::end(element_types))
    return malformed(name, "has the unknown dtype " + in_quotes(type_name));
  tensor_info result;
  result.name = name;
  result.type = type->type;
  const auto& shape = entry["shape"];
  if (shape.size() > dimensions_max)
    return malformed(name, "has " + std::to_string(shape.size()) + " dimensions, supported are four");
  std::uint64_t bytes = type->bytes;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (!shape[i].is_number_unsigned())
      return malformed(name, "has a dimension that is not a count");
    const auto size = shape[i].get<std::uint64_t>();
    result.dims[shape.size() - 1 - i] = size;
    if (size != 0 && bytes > data.size() / size)
      return malformed(name, "is larger than the file");
    bytes *= size;
  }
  const extent where{entry["data_offsets"][0].get<std::uint64_t>(), entry["data_offsets"][1].get<std::uint64_t>()};
  if (where.begin > where.end || where.end > data.size())
    return malformed(name, "lies at " + std::to_string(where.begin) + " to " + std::to_string(where.end)
                             + ", the data has " + std::to_string(data.size()) + " bytes");
  if (where.end - where.begin != bytes)
    return malformed(name, "has " + std::to_string(where.end - where.begin) + " bytes, its shape asks for "
                             + std::to_string(bytes));
  if (type->type != unknown_safetensors_type)
    result.data = data.subspan(where.begin, bytes);
  return placed_tensor{std::move(result), where};
}

/// The format wants each byte of the data to be in exactly one tensor.
expected<void, error> check_coverage(std::vector<extent> extents, std::uint64_t data_bytes) {
  std::ranges::sort(extents, {}, [](const extent& e) { return std::pair{e.begin, e.end}; });
  std::uint64_t at = 0;
  for (const auto& e : extents) {
    if (e.begin != at)
      return malformed("data byte " + std::to_string(at) + " begins a " + (e.begin > at ? "gap" : "second tensor"));
    at = e.end;
  }
  if (at != data_bytes)
    return malformed("data from byte " + std::to_string(at) + " on belongs to no tensor");
  return {};
}

} // namespace

expected<std::vector<tensor_info>, error> parse_safetensors(std::span<const std::byte> file,
                                                            safetensors_limits limits) {
  std::uint64_t header_bytes = 0;
  if (file.size() < length_bytes)
    return malformed("the file has " + std::to_string(file.size()) + " bytes, not even a length");
  std::memcpy(&header_bytes, file.data(), length_bytes);
  if (header_bytes > limits.header_bytes_max || header_bytes > file.size() - length_bytes)
    return malformed("the header's length of " + std::to_string(header_bytes) + " exceeds the file or "
                     + std::to_string(limits.header_bytes_max));
  const auto text =
    std::string_view{reinterpret_cast<const char*>(file.data()), file.size()}.substr(length_bytes, header_bytes);
  auto header = parse_json(text);
  if (!header)
    return malformed("the header " + header.error().context);
  if (!header->is_object() || header->size() > limits.tensors_max)
    return malformed("the header is not an object of at most " + std::to_string(limits.tensors_max) + " tensors");
  const auto data = file.subspan(length_bytes + header_bytes);
  std::vector<tensor_info> result;
  std::vector<extent> extents;
  for (const auto& [name, entry] : header->items()) {
    if (name == "__metadata__")
      continue;
    auto tensor = parse_tensor(name, entry, data);
    if (!tensor)
      return unexpected{tensor.error()};
    result.push_back(std::move(tensor->info));
    extents.push_back(tensor->where);
  }
  if (auto covered = check_coverage(std::move(extents), data.size()); !covered)
    return unexpected{covered.error()};
  return result;
}

} // namespace troupe::gpu
