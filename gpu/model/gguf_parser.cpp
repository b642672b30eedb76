// SPDX-License-Identifier: Apache-2.0
#include "gpu/model/gguf_parser.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "gpu/model/in_quotes.hpp"

namespace troupe::gpu {

namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is read as it lies in the file");

constexpr std::uint64_t key_bytes_max = 65'535;     // the format's own limit
constexpr std::uint64_t tensor_name_bytes_max = 64; // likewise
constexpr std::uint64_t alignment_default = 32;
constexpr std::string_view alignment_key = "general.alignment";

// Reads forward through the file; nothing is returned that is not wholly inside it.
class cursor {
public:
  explicit cursor(std::span<const std::byte> file) : file_(file) {}

  std::uint64_t at() const { return at_; }
  std::uint64_t left() const { return file_.size() - at_; }

  std::optional<std::span<const std::byte>> take(std::uint64_t bytes) {
    if (bytes > left())
      return std::nullopt;
    auto result = file_.subspan(at_, bytes);
    at_ += bytes;
    return result;
  }

  template <class T>
  std::optional<T> number() {
    auto bytes = take(sizeof(T));
    if (!bytes)
      return std::nullopt;
    T result;
    std::memcpy(&result, bytes->data(), sizeof(T));
    return result;
  }

private:
  std::span<const std::byte> file_;
  std::uint64_t at_ = 0;
};

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class parser {
public:
  parser(std::span<const std::byte> file, const gguf_limits& limits) : file_(file), limits_(limits), in_(file) {}

  expected<gguf_contents, error> run() {
    if (auto ok = header(); !ok)
      return unexpected{ok.error()};
    for (std::uint64_t i = 0; i < keys_; ++i)
      if (auto ok = key(i); !ok)
        return unexpected{ok.error()};
    if (auto ok = read_alignment(); !ok)
      return unexpected{ok.error()};
    for (std::uint64_t i = 0; i < tensors_; ++i)
      if (auto ok = tensor(i); !ok)
        return unexpected{ok.error()};
    if (auto ok = place_tensors(); !ok)
      return unexpected{ok.error()};
    return std::move(out_);
  }

private:
  // Where a tensor says that its data is, until the end of the header is known.
  struct claim {
    std::uint64_t offset;   // from the start of the data
    std::uint64_t bytes;    // 0 if the type is unknown
    std::uint64_t field_at; // position of the offset itself, for messages
  };

  static unexpected<error> refuse(std::uint64_t at, std::string what, errc code = errc::malformed_file) {
    return fail(code, std::move(what) + " (byte " + std::to_string(at) + ")");
  }
  unexpected<error> ends_in(std::string what) const { return refuse(in_.at(), "the file ends in " + std::move(what)); }

  expected<void, error> header();
  expected<void, error> key(std::uint64_t index);
  expected<gguf_value, error> value(const std::string& whose, gguf_type type);
  expected<gguf_value, error> array(const std::string& whose);
  expected<void, error> check_booleans(const std::string& whose, std::span<const std::byte> bytes) const;
  expected<std::string_view, error> string(const std::string& what, std::uint64_t bytes_max);
  expected<void, error> read_alignment();
  expected<void, error> tensor(std::uint64_t index);
  expected<std::uint64_t, error> tensor_bytes(const std::string& whose, const tensor_info&, std::uint64_t at) const;
  expected<void, error> place_tensors();
  expected<void, error> check_overlaps() const;

  std::span<const std::byte> file_;
  const gguf_limits& limits_;
  cursor in_;
  std::uint64_t tensors_ = 0;
  std::uint64_t keys_ = 0;
  std::uint64_t alignment_ = alignment_default;
  std::vector<claim> claims_;
  gguf_contents out_;
};

expected<void, error> parser::header() {
  auto magic = in_.take(4);
  if (!magic || as_text(*magic) != "GGUF")
    return refuse(0, "not a GGUF file: it does not start with 'GGUF'");
  auto version = in_.number<std::uint32_t>();
  if (!version)
    return ends_in("the version");
  if (auto swapped = __builtin_bswap32(*version); swapped >= 1 && swapped <= 3)
    return refuse(4, "big-endian GGUF is not supported", errc::unsupported);
  if (*version != 2 && *version != 3)
    return refuse(4, "GGUF version " + std::to_string(*version) + " is not supported, only 2 and 3", errc::unsupported);
  auto tensors = in_.number<std::uint64_t>();
  auto keys = in_.number<std::uint64_t>();
  if (!tensors || !keys)
    return ends_in("the counts of tensors and keys");
  if (*tensors > limits_.tensors_max)
    return refuse(8, std::to_string(*tensors) + " tensors, at most " + std::to_string(limits_.tensors_max));
  if (*keys > limits_.keys_max)
    return refuse(16, std::to_string(*keys) + " keys, at most " + std::to_string(limits_.keys_max));
  tensors_ = *tensors;
  keys_ = *keys;
  return {};
}

expected<std::string_view, error> parser::string(const std::string& what, std::uint64_t bytes_max) {
  auto at = in_.at();
  auto length = in_.number<std::uint64_t>();
  if (!length)
    return ends_in(what);
  if (*length > bytes_max)
    return refuse(at, what + " has " + std::to_string(*length) + " bytes, at most " + std::to_string(bytes_max));
  auto bytes = in_.take(*length);
  if (!bytes)
    return ends_in(what);
  return as_text(*bytes);
}

expected<void, error> parser::key(std::uint64_t index) {
  auto at = in_.at();
  auto name = string("the name of key " + std::to_string(index), key_bytes_max);
  if (!name)
    return unexpected{name.error()};
  auto whose = "key " + in_quotes(*name);
  if (name->empty())
    return refuse(at, "key " + std::to_string(index) + " has no name");
  if (out_.keys.contains(*name))
    return refuse(at, whose + " occurs twice");
  auto type = in_.number<std::uint32_t>();
  if (!type)
    return ends_in(whose);
  auto content = value(whose, static_cast<gguf_type>(*type));
  if (!content)
    return unexpected{content.error()};
  out_.keys.emplace(*name, *content);
  return {};
}

expected<gguf_value, error> parser::value(const std::string& whose, gguf_type type) {
  auto at = in_.at();
  if (type == gguf_type::array)
    return array(whose);
  if (type == gguf_type::string) {
    auto text = string("the text of " + whose, limits_.string_bytes_max);
    if (!text)
      return unexpected{text.error()};
    return gguf_value{type, type, 1, std::as_bytes(std::span{*text})};
  }
  auto size = bytes_of(type);
  if (size == 0)
    return refuse(at - 4, whose + " has unknown type " + std::to_string(static_cast<std::uint32_t>(type)));
  auto bytes = in_.take(size);
  if (!bytes)
    return ends_in(whose);
  if (type == gguf_type::boolean)
    if (auto ok = check_booleans(whose, *bytes); !ok)
      return unexpected{ok.error()};
  return gguf_value{type, type, 1, *bytes};
}

expected<gguf_value, error> parser::array(const std::string& whose) {
  auto at = in_.at();
  auto raw = in_.number<std::uint32_t>();
  auto count = in_.number<std::uint64_t>();
  if (!raw || !count)
    return ends_in(whose);
  auto element = static_cast<gguf_type>(*raw);
  if (element == gguf_type::array)
    return refuse(at, whose + " is an array of arrays, which is not supported", errc::unsupported);
  if (*count > limits_.array_elements_max)
    return refuse(at + 4, whose + " has " + std::to_string(*count) + " elements, at most "
                            + std::to_string(limits_.array_elements_max));
  auto start = in_.at();
  if (element == gguf_type::string) {
    // Each string takes at least its length, so the file's size bounds this loop too.
    for (std::uint64_t i = 0; i < *count; ++i)
      if (auto text = string("an element of " + whose, limits_.string_bytes_max); !text)
        return unexpected{text.error()};
    return gguf_value{gguf_type::array, element, *count, file_.subspan(start, in_.at() - start)};
  }
  auto size = bytes_of(element);
  if (size == 0)
    return refuse(at, whose + " is an array of unknown type " + std::to_string(*raw));
  std::uint64_t total = 0;
  if (__builtin_mul_overflow(*count, size, &total))
    return ends_in(whose);
  auto bytes = in_.take(total);
  if (!bytes)
    return ends_in(whose);
  if (element == gguf_type::boolean)
    if (auto ok = check_booleans(whose, *bytes); !ok)
      return unexpected{ok.error()};
  return gguf_value{gguf_type::array, element, *count, *bytes};
}

expected<void, error> parser::check_booleans(const std::string& whose, std::span<const std::byte> bytes) const {
  for (auto& byte : bytes)
    if (std::to_integer<unsigned>(byte) > 1)
      return refuse(static_cast<std::uint64_t>(&byte - file_.data()), whose + " has a boolean that is neither 0 nor 1");
  return {};
}

expected<void, error> parser::read_alignment() {
  auto i = out_.keys.find(alignment_key);
  if (i == out_.keys.end())
    return {};
  auto& [type, element, count, bytes] = i->second;
  auto at = static_cast<std::uint64_t>(bytes.data() - file_.data());
  if (type != gguf_type::u32)
    return refuse(at, "key 'general.alignment' is a " + std::string{to_string(type)} + ", not a u32");
  std::uint32_t alignment = 0;
  std::memcpy(&alignment, bytes.data(), sizeof alignment);
  // The format asks for a multiple of 8; GGML for a power of two as well.
  if (alignment < 8 || !std::has_single_bit(alignment))
    return refuse(at, "key 'general.alignment' is " + std::to_string(alignment) + ", not a power of two of at least 8");
  alignment_ = alignment;
  return {};
}

expected<void, error> parser::tensor(std::uint64_t index) {
  auto start = in_.at();
  auto name = string("the name of tensor " + std::to_string(index), tensor_name_bytes_max);
  if (!name)
    return unexpected{name.error()};
  auto whose = "tensor " + in_quotes(*name);
  if (name->empty())
    return refuse(start, "tensor " + std::to_string(index) + " has no name");
  if (out_.tensor_index.contains(*name))
    return refuse(start, whose + " occurs twice");
  tensor_info info;
  info.name = *name;
  auto dims_at = in_.at();
  auto dims = in_.number<std::uint32_t>();
  if (!dims)
    return ends_in(whose);
  if (*dims > info.dims.size())
    return refuse(dims_at, whose + " has " + std::to_string(*dims) + " dimensions, at most 4");
  for (std::uint32_t d = 0; d < *dims; ++d) {
    auto extent = in_.number<std::uint64_t>();
    if (!extent)
      return ends_in("the dimensions of " + whose);
    if (*extent == 0)
      return refuse(in_.at() - 8, "dimension " + std::to_string(d) + " of " + whose + " is 0");
    info.dims[d] = *extent;
  }
  auto type = in_.number<std::uint32_t>();
  auto offset_at = in_.at();
  auto offset = in_.number<std::uint64_t>();
  if (!type || !offset)
    return ends_in(whose);
  info.type = static_cast<tensor_type>(*type);
  auto bytes = tensor_bytes(whose, info, dims_at);
  if (!bytes)
    return unexpected{bytes.error()};
  if (*offset % alignment_ != 0)
    return refuse(offset_at, "the offset " + std::to_string(*offset) + " of " + whose + " is not a multiple of "
                               + std::to_string(alignment_));
  claims_.push_back({*offset, *bytes, offset_at});
  out_.tensor_index.emplace(*name, out_.tensors.size());
  out_.tensors.push_back(std::move(info));
  return {};
}

expected<std::uint64_t, error> parser::tensor_bytes(const std::string& whose, const tensor_info& info,
                                                    std::uint64_t at) const {
  auto [elements, bytes] = packing_of(info.type);
  if (bytes == 0)
    return std::uint64_t{0};
  if (info.dims[0] % elements != 0)
    return refuse(at, "rows of " + whose + " have " + std::to_string(info.dims[0]) + " elements, not a multiple of the "
                        + std::to_string(elements) + " of " + gpu::to_string(info.type));
  std::uint64_t total = bytes;
  for (auto factor : {info.dims[0] / elements, info.dims[1], info.dims[2], info.dims[3]})
    if (__builtin_mul_overflow(total, factor, &total))
      return refuse(at, "the dimensions of " + whose + " exceed 64 bits");
  return total;
}

expected<void, error> parser::place_tensors() {
  if (out_.tensors.empty())
    return {};
  auto start = in_.at();
  if (auto over = start % alignment_; over != 0)
    start += alignment_ - over; // both are far below 2^63: no overflow
  auto room = start <= file_.size() ? file_.size() - start : 0;
  for (std::size_t i = 0; i < claims_.size(); ++i) {
    auto& [offset, bytes, field_at] = claims_[i];
    if (offset > room || bytes > room - offset)
      return refuse(field_at, "tensor " + in_quotes(out_.tensors[i].name) + " has " + std::to_string(bytes)
                                + " bytes at offset " + std::to_string(offset) + " of the data, which has "
                                + std::to_string(room) + " bytes");
    if (bytes != 0)
      out_.tensors[i].data = file_.subspan(start + offset, bytes);
  }
  return check_overlaps();
}

/// REQUIRES: all claims lie inside the file, so that their ends do not overflow.
expected<void, error> parser::check_overlaps() const {
  std::vector<std::size_t> order; // tensors of known size, by offset
  for (std::size_t i = 0; i < claims_.size(); ++i)
    if (claims_[i].bytes != 0)
      order.push_back(i);
  std::ranges::stable_sort(order, {}, [this](std::size_t i) { return claims_[i].offset; });
  // If any two overlap, so do two neighbours.
  auto overlap = [this](std::size_t a, std::size_t b) {
    return claims_[b].offset - claims_[a].offset < claims_[a].bytes;
  };
  const auto found = std::ranges::adjacent_find(order, overlap);
  if (found == order.end())
    return {};
  const auto& later = claims_[found[1]];
  return refuse(later.field_at, "tensors " + in_quotes(out_.tensors[found[0]].name) + " and "
                                  + in_quotes(out_.tensors[found[1]].name) + " overlap at offset "
                                  + std::to_string(later.offset) + " of the data");
}

} // namespace

std::string_view to_string(gguf_type type) {
  switch (type) {
    case gguf_type::u8: return "u8";
    case gguf_type::i8: return "i8";
    case gguf_type::u16: return "u16";
    case gguf_type::i16: return "i16";
    case gguf_type::u32: return "u32";
    case gguf_type::i32: return "i32";
    case gguf_type::f32: return "f32";
    case gguf_type::boolean: return "bool";
    case gguf_type::string: return "string";
    case gguf_type::array: return "array";
    case gguf_type::u64: return "u64";
    case gguf_type::i64: return "i64";
    case gguf_type::f64: return "f64";
  }
  return "unknown";
}

std::uint64_t bytes_of(gguf_type type) {
  switch (type) {
    case gguf_type::u8:
    case gguf_type::i8:
    case gguf_type::boolean: return 1;
    case gguf_type::u16:
    case gguf_type::i16: return 2;
    case gguf_type::u32:
    case gguf_type::i32:
    case gguf_type::f32: return 4;
    case gguf_type::u64:
    case gguf_type::i64:
    case gguf_type::f64: return 8;
    case gguf_type::string:
    case gguf_type::array: break;
  }
  return 0;
}

expected<gguf_contents, error> parse_gguf(std::span<const std::byte> file, const gguf_limits& limits) {
  return parser{file, limits}.run();
}

} // namespace troupe::gpu
