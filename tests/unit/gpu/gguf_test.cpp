// SPDX-License-Identifier: Apache-2.0
#include "gpu/model/gguf.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <string>

#include "gpu/model/gguf_parser.hpp"
#include "tests/support/gguf_writer.hpp"

using namespace troupe;
using namespace troupe::gpu;
using troupe::test::gguf_writer;
using troupe::test::temporary_file;

namespace {

using bytes = std::vector<std::byte>;

bytes pattern(std::size_t count) {
  bytes result(count);
  for (std::size_t i = 0; i < count; ++i)
    result[i] = static_cast<std::byte>(i * 7 + 1);
  return result;
}

// Every type of key, and tensors of plain, packed and unknown type.
gguf_writer small_file(std::uint32_t version) {
  gguf_writer w{version};
  w.add_string("general.architecture", "llama");
  w.add_uint32("llama.block_count", 2);
  w.add_uint64("big", std::uint64_t{1} << 40);
  w.add_int32("negative", -5);
  w.add_float("eps", 0.5F);
  w.add_double("precise", 0.1);
  w.add_bool("flag", true);
  w.add_strings("tokens", std::array<std::string, 3>{"a", "", "ccc"});
  w.add_floats("scores", std::array{1.0F, -2.0F});
  w.add_ints("types", std::array{1, -1, 3});
  w.add_tensor("plain", std::array<std::uint64_t, 2>{3, 2}, std::array{1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F});
  w.add_tensor("packed", tensor_type::q4_1, std::array<std::uint64_t, 2>{64, 2}, pattern(80));
  w.add_tensor("unknown", tensor_type{10}, std::array<std::uint64_t, 1>{256}, pattern(144));
  w.add_tensor("last", tensor_type::q8_0, std::array<std::uint64_t, 1>{32}, pattern(34));
  return w;
}

// The exact bytes on the heap, so that AddressSanitizer sees the first byte read beyond them.
std::string error_of(const bytes& file, gguf_limits limits = {}) {
  auto parsed = parse_gguf(file, limits);
  return parsed ? "" : parsed.error().context;
}

} // namespace

TEST_CASE("a written file is read back, in both versions") {
  for (std::uint32_t version : {2U, 3U}) {
    temporary_file on_disk{small_file(version).finish()};
    auto opened = gguf_file::open(on_disk.path());
    REQUIRE_MESSAGE(opened, opened.error().context);
    auto& f = *opened;
    CHECK(*f.find_string("general.architecture") == "llama");
    CHECK(*f.find_uint("llama.block_count") == 2);
    CHECK(*f.find_uint("big") == std::uint64_t{1} << 40);
    CHECK(*f.find_float("eps") == 0.5);
    CHECK(*f.find_float("precise") == 0.1);
    CHECK(*f.find_bool("flag"));
    CHECK(*f.find_strings("tokens") == std::vector<std::string_view>{"a", "", "ccc"});
    CHECK(*f.find_floats("scores") == std::vector{1.0F, -2.0F});
    CHECK(*f.find_ints("types") == std::vector<std::int64_t>{1, -1, 3});
    CHECK(f.has("flag"));
    CHECK_FALSE(f.has("flag2"));
    REQUIRE(f.tensors().size() == 4);
    auto plain = f.find_tensor("plain");
    REQUIRE(plain != nullptr);
    CHECK(plain->type == tensor_type::f32);
    CHECK(plain->dims == std::array<std::uint64_t, 4>{3, 2, 1, 1});
    std::array<float, 6> values{};
    REQUIRE(plain->data.size() == sizeof values);
    std::memcpy(values.data(), plain->data.data(), sizeof values);
    CHECK(values == std::array{1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F});
    auto packed = f.find_tensor("packed")->data;
    CHECK(bytes{packed.begin(), packed.end()} == pattern(80));
    CHECK(f.find_tensor("unknown")->data.empty());
    CHECK(to_string(f.find_tensor("unknown")->type) == "type 10 (Q2_K)");
    CHECK(f.find_tensor("none") == nullptr);
    CHECK(f.file_bytes() == small_file(version).finish().size());
  }
}

TEST_CASE("a key of another type or range is refused by name, with what was found") {
  temporary_file on_disk{small_file(3).finish()};
  auto f = *gguf_file::open(on_disk.path());
  CHECK(f.find_uint("absent").error() == error{errc::missing, "key 'absent' is missing"});
  CHECK(f.find_uint("eps").error().context == "key 'eps' is f32, not an unsigned integer");
  CHECK(f.find_uint("negative").error().context == "key 'negative' has a value that is not an unsigned integer");
  CHECK(f.find_uint("types").error().context == "key 'types' is array of 3 i32, not an unsigned integer");
  CHECK(f.find_float("flag").error().context == "key 'flag' is bool, not a float");
  CHECK(f.find_float("scores").error().context == "key 'scores' is array of 2 f32, not a float");
  CHECK(f.find_string("tokens").error().context == "key 'tokens' is array of 3 string, not a string");
  CHECK(f.find_strings("types").error().context == "key 'types' is array of 3 i32, not an array of strings");
  CHECK(f.find_floats("types").error().context == "key 'types' is array of 3 i32, not an array of floats");
  CHECK(f.find_ints("scores").error().context == "key 'scores' is array of 2 f32, not an array of integers");
  CHECK(f.find_bool("big").error().context == "key 'big' is u64, not a bool");
}

TEST_CASE("type names are GGML's, with the number where the type is not supported") {
  CHECK(to_string(tensor_type::q4_1) == "Q4_1");
  CHECK(to_string(tensor_type::bf16) == "BF16");
  CHECK(to_string(tensor_type{11}) == "type 11 (Q3_K)");
  CHECK(to_string(tensor_type{99}) == "type 99");
}

TEST_CASE("what cannot be opened is an error that names the path") {
  CHECK(gguf_file::open("/nonexistent/x.gguf").error().code == gpu::errc::resource);
  CHECK(gguf_file::open("/tmp").error() == gpu::error{gpu::errc::resource, "/tmp: not a regular file"});
  temporary_file empty{{}};
  CHECK(gguf_file::open(empty.path()).error().context == empty.path().string() + ": the file is empty (byte 0)");
  temporary_file text{std::as_bytes(std::span{std::string_view{"hello world"}})};
  CHECK(gguf_file::open(text.path()).error().context
        == text.path().string() + ": not a GGUF file: it does not start with 'GGUF' (byte 0)");
}

TEST_CASE("other versions and big-endian files are refused by name") {
  CHECK(error_of(gguf_writer{1}.finish()) == "GGUF version 1 is not supported, only 2 and 3 (byte 4)");
  CHECK(error_of(gguf_writer{4}.finish()) == "GGUF version 4 is not supported, only 2 and 3 (byte 4)");
  CHECK(error_of(gguf_writer{0x03000000}.finish()) == "big-endian GGUF is not supported (byte 4)");
}

TEST_CASE("an alignment other than a power of two of at least 8 is refused") {
  for (std::uint32_t bad : {0U, 1U, 4U, 12U, 40U}) {
    gguf_writer w;
    w.add_uint32("general.alignment", bad);
    CHECK(error_of(w.finish())
          == "key 'general.alignment' is " + std::to_string(bad) + ", not a power of two of at least 8 (byte 53)");
  }
  gguf_writer w;
  w.add_string("general.alignment", "32");
  CHECK(error_of(w.finish()) == "key 'general.alignment' is a string, not a u32 (byte 61)");
}

TEST_CASE("tensors follow the file's own alignment") {
  for (std::uint32_t alignment : {8U, 64U, 4096U}) {
    gguf_writer w;
    w.add_alignment(alignment);
    w.add_tensor("a", tensor_type::f32, std::array<std::uint64_t, 1>{3}, pattern(12));
    w.add_tensor("b", tensor_type::f32, std::array<std::uint64_t, 1>{5}, pattern(20));
    auto file = w.finish();
    auto parsed = parse_gguf(file, {});
    REQUIRE_MESSAGE(parsed, parsed.error().context);
    for (auto& t : parsed->tensors)
      CHECK(bytes{t.data.begin(), t.data.end()} == pattern(t.data.size()));
    CHECK(parsed->tensors[1].data.size() == 20);
  }
}

TEST_CASE("a name that occurs twice is refused") {
  gguf_writer keys;
  keys.add_uint32("k", 1);
  keys.add_uint32("k", 1);
  CHECK(error_of(keys.finish()).starts_with("key 'k' occurs twice (byte "));
  gguf_writer tensors;
  tensors.add_tensor("t", std::array<std::uint64_t, 1>{1}, std::array{1.0F});
  tensors.add_tensor("t", std::array<std::uint64_t, 1>{1}, std::array{1.0F});
  CHECK(error_of(tensors.finish()).starts_with("tensor 't' occurs twice (byte "));
}

TEST_CASE("unknown and nested metadata types are refused by key") {
  gguf_writer unknown;
  unknown.add_raw("k", 13, pattern(64));
  CHECK(error_of(unknown.finish()) == "key 'k' has unknown type 13 (byte 33)");
  gguf_writer nested;
  nested.add_raw("k", 9, bytes{std::byte{9}, {}, {}, {}, std::byte{1}, {}, {}, {}, {}, {}, {}, {}});
  CHECK(error_of(nested.finish()) == "key 'k' is an array of arrays, which is not supported (byte 37)");
  gguf_writer boolean;
  boolean.add_raw("k", 7, bytes{std::byte{2}});
  CHECK(error_of(boolean.finish()) == "key 'k' has a boolean that is neither 0 nor 1 (byte 37)");
  gguf_writer control;
  control.add_raw("a\n\xff", 13, {});
  CHECK(error_of(control.finish()) == "key 'a\\x0a\\xff' has unknown type 13 (byte 35)");
}

TEST_CASE("lengths that overflow when multiplied or added are refused") {
  auto array_of = [](std::uint64_t count, std::uint32_t type) {
    bytes payload(12);
    std::memcpy(payload.data(), &type, 4);
    std::memcpy(payload.data() + 4, &count, 8);
    gguf_writer w;
    w.add_raw("k", 9, payload);
    return w.finish();
  };
  gguf_limits loose{.array_elements_max = ~std::uint64_t{0}, .string_bytes_max = ~std::uint64_t{0}};
  CHECK(error_of(array_of(std::uint64_t{1} << 62, 10), loose) == "the file ends in key 'k' (byte 49)");
  CHECK(error_of(array_of(std::uint64_t{1} << 61, 10), loose) == "the file ends in key 'k' (byte 49)");
  CHECK(error_of(array_of(~std::uint64_t{0}, 8), loose) == "the file ends in an element of key 'k' (byte 49)");

  auto tensor_of = [](std::vector<std::uint64_t> dims, tensor_type type) {
    gguf_writer w;
    w.add_tensor("t", type, dims, pattern(64));
    return error_of(w.finish());
  };
  auto big = std::uint64_t{1} << 32;
  CHECK(tensor_of({big, big}, tensor_type::f32) == "the dimensions of tensor 't' exceed 64 bits (byte 33)");
  CHECK(tensor_of({std::uint64_t{1} << 62}, tensor_type::f32)
        == "the dimensions of tensor 't' exceed 64 bits (byte 33)");
  CHECK(tensor_of({4, 0}, tensor_type::f32) == "dimension 1 of tensor 't' is 0 (byte 45)");
  CHECK(tensor_of({1, 1, 1, 1, 1}, tensor_type::f32) == "tensor 't' has 5 dimensions, at most 4 (byte 33)");
  CHECK(tensor_of({33}, tensor_type::q8_0)
        == "rows of tensor 't' have 33 elements, not a multiple of the 32 of Q8_0 (byte 33)");
  CHECK(tensor_of({17}, tensor_type::f32)
          .starts_with("tensor 't' has 68 bytes at offset 0 of the data, which has 64 bytes"));
}

TEST_CASE("an offset that is unaligned, beyond the data or close to 2^64 is refused") {
  gguf_writer w;
  w.add_tensor("t", tensor_type::f32, std::array<std::uint64_t, 1>{16}, pattern(64));
  auto with_offset = [file = w.finish()](std::uint64_t offset) mutable {
    constexpr std::size_t place = 49; // header, name, dimensions, type
    std::memcpy(file.data() + place, &offset, sizeof offset);
    return error_of(file);
  };
  CHECK(with_offset(0) == "");
  CHECK(with_offset(4) == "the offset 4 of tensor 't' is not a multiple of 32 (byte 49)");
  for (auto beyond : {std::uint64_t{32}, std::uint64_t{64}, std::uint64_t{96}, ~std::uint64_t{31}, ~std::uint64_t{63}})
    CHECK(with_offset(beyond)
          == "tensor 't' has 64 bytes at offset " + std::to_string(beyond)
               + " of the data, which has 64 bytes (byte 49)");
}

TEST_CASE("tensors that share bytes are refused by the names of both") {
  auto placed = [](std::array<std::uint64_t, 3> offsets, tensor_type type_of_c = tensor_type::f32) {
    gguf_writer w;
    w.add_tensor("a", tensor_type::f32, std::array<std::uint64_t, 1>{16}, pattern(64));
    w.add_tensor("b", tensor_type::f32, std::array<std::uint64_t, 1>{8}, pattern(32));
    w.add_tensor("c", type_of_c, std::array<std::uint64_t, 1>{8}, pattern(32));
    auto file = w.finish();
    for (std::size_t i = 0; i < offsets.size(); ++i) // after header, name, dimensions, type; each takes 33 bytes
      std::memcpy(file.data() + 49 + 33 * i, &offsets[i], sizeof offsets[i]);
    return error_of(file);
  };
  CHECK(placed({0, 64, 96}) == "");
  CHECK(placed({64, 0, 32}) == "");
  CHECK(placed({0, 32, 96}) == "tensors 'a' and 'b' overlap at offset 32 of the data (byte 82)");
  CHECK(placed({0, 64, 64}) == "tensors 'b' and 'c' overlap at offset 64 of the data (byte 115)");
  CHECK(placed({64, 0, 96}) == "tensors 'a' and 'c' overlap at offset 96 of the data (byte 115)");
  CHECK(placed({32, 96, 0}) == "");
  CHECK(placed({32, 0, 0}) == "tensors 'b' and 'c' overlap at offset 0 of the data (byte 115)");
  // How many bytes an unknown type takes is not known.
  CHECK(placed({0, 64, 64}, tensor_type{10}) == "");
}

TEST_CASE("a string whose length wraps around the file's end is refused") {
  gguf_limits loose{.string_bytes_max = ~std::uint64_t{0}};
  for (std::uint64_t length : {std::uint64_t{100}, ~std::uint64_t{0}, ~std::uint64_t{0} - 8, ~std::uint64_t{0} - 44}) {
    bytes payload(8);
    std::memcpy(payload.data(), &length, 8);
    gguf_writer w;
    w.add_raw("k", 8, payload);
    CHECK(error_of(w.finish(), loose) == "the file ends in the text of key 'k' (byte 45)");
  }
}

TEST_CASE("every cap of the limits is kept, and named") {
  auto file = small_file(3).finish();
  CHECK(error_of(file, {.tensors_max = 4, .keys_max = 10, .array_elements_max = 3, .string_bytes_max = 5}) == "");
  CHECK(error_of(file, {.tensors_max = 3}) == "4 tensors, at most 3 (byte 8)");
  CHECK(error_of(file, {.keys_max = 9}) == "10 keys, at most 9 (byte 16)");
  CHECK(error_of(file, {.array_elements_max = 2}).starts_with("key 'tokens' has 3 elements, at most 2"));
  CHECK(error_of(file, {.string_bytes_max = 4})
          .starts_with("the text of key 'general.architecture' has 5 bytes, at most 4"));
}

TEST_CASE("a file cut at any byte is refused with a byte offset, or keeps its spans inside") {
  auto whole = small_file(3).finish();
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    bytes file{whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut)};
    CHECK(error_of(file).find("(byte ") != std::string::npos);
  }
}

TEST_CASE("the 260K stories model opens") {
  auto path = std::filesystem::path{TROUPE_SHARED_DATA} / "models/stories260K.gguf";
  if (!std::filesystem::exists(path)) {
    MESSAGE("SKIPPED: " << path.string() << " is absent");
    return;
  }
  auto f = gguf_file::open(path);
  REQUIRE_MESSAGE(f, f.error().context);
  CHECK(*f->find_string("general.architecture") == "llama");
  CHECK(f->find_strings("tokenizer.ggml.tokens")->size() == 512);
  auto embedding = f->find_tensor("token_embd.weight");
  REQUIRE(embedding != nullptr);
  CHECK(embedding->dims == std::array<std::uint64_t, 4>{64, 512, 1, 1});
  CHECK(embedding->data.size() == 64 * 512 * 4);
}
