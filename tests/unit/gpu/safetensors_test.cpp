// SPDX-License-Identifier: Apache-2.0
#include "gpu/model/safetensors.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <string>

using namespace troupe;
using namespace troupe::gpu;

namespace {

std::vector<std::byte> file_of(std::string_view header, std::size_t data_bytes,
                               std::optional<std::uint64_t> stated_bytes = std::nullopt) {
  std::vector<std::byte> result(8 + header.size() + data_bytes);
  const std::uint64_t length = stated_bytes.value_or(header.size());
  std::memcpy(result.data(), &length, 8);
  std::memcpy(result.data() + 8, header.data(), header.size());
  for (std::size_t i = 0; i < data_bytes; ++i)
    result[8 + header.size() + i] = static_cast<std::byte>(i);
  return result;
}

constexpr std::string_view two =
  R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
  R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}})";

std::string refusal(std::string_view header, std::size_t data_bytes,
                    std::optional<std::uint64_t> stated = std::nullopt) {
  auto parsed = parse_safetensors(file_of(header, data_bytes, stated));
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().code == errc::malformed_file);
  return parsed.error().context;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("tensors have their names, types, dimensions in GGUF's order, and bytes") {
  const auto file = file_of(two, 32);
  auto parsed = parse_safetensors(file);
  REQUIRE(parsed);
  REQUIRE(parsed->size() == 2);
  const auto& a = (*parsed)[0];
  CHECK(a.name == "a");
  CHECK(a.type == tensor_type::f32);
  CHECK(a.dims == std::array<std::uint64_t, 4>{3, 2, 1, 1});
  CHECK(a.data.size() == 24);
  CHECK(a.data.data() == file.data() + 8 + two.size());
  const auto& b = (*parsed)[1];
  CHECK(b.type == tensor_type::bf16);
  CHECK(b.dims == std::array<std::uint64_t, 4>{4, 1, 1, 1});
  CHECK(b.data.front() == std::byte{24});
}

TEST_CASE("what a header claims is checked against the file") {
  CHECK(has(refusal(two, 31), "'b' lies at 24 to 32"));
  CHECK(has(refusal(two, 33), "from byte 32 on belongs to no tensor"));
  CHECK(has(refusal(two, 32, std::uint64_t{1} << 40), "header's length"));
  CHECK(has(refusal(two, 32, two.size() + 33), "header's length"));
  CHECK(has(refusal("[]", 0), "not an object"));
  CHECK(has(refusal("{", 0), "not JSON"));
  CHECK(has(refusal(std::string(1000, '['), 0), "levels"));
  CHECK(has(refusal(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8), "data byte 0 begins a gap"));
  CHECK(has(
    refusal(
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
      8),
    "second tensor"));
  CHECK(has(refusal(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}})", 8), "lies at 8 to 4"));
  CHECK(has(refusal(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 16), "asks for 12"));
  CHECK(has(refusal(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4), "not a count"));
  CHECK(has(refusal(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0),
            "larger than the file"));
  CHECK(has(refusal(R"({"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,4]}})", 4), "unknown dtype 'Q4'"));
  CHECK(has(refusal(R"({"a\nb":{"dtype":"Q\t","shape":[1],"data_offsets":[0,4]}})", 4),
            "tensor 'a\\x0ab' has the unknown dtype 'Q\\x09'"));
  CHECK(has(refusal(R"({"a":{"dtype":"F32","shape":[1,1,1,1,1],"data_offsets":[0,4]}})", 4), "5 dimensions"));
  CHECK(has(refusal(R"({"a":7})", 0), "lacks dtype"));
  CHECK_FALSE(parse_safetensors(std::vector<std::byte>(7)));
}

TEST_CASE("a type that is not computed with has no data, and does not spoil the file") {
  auto parsed = parse_safetensors(file_of(R"({"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}})", 4));
  REQUIRE(parsed);
  CHECK((*parsed)[0].type == unknown_safetensors_type);
  CHECK((*parsed)[0].data.empty());
}

TEST_CASE("no change of a byte makes the reader leave the file") {
  const auto good = file_of(two, 32);
  std::mt19937 random{3};
  for (int i = 0; i < 20'000; ++i) {
    auto bad = good;
    for (auto flips = 1 + random() % 3; flips > 0; --flips)
      bad[random() % bad.size()] = static_cast<std::byte>(random());
    bad.resize(random() % 4 == 0 ? random() % bad.size() : bad.size());
    if (auto parsed = parse_safetensors(bad))
      for (const auto& tensor : *parsed)
        if (!tensor.data.empty()) {
          CHECK(tensor.data.data() >= bad.data());
          CHECK(tensor.data.data() + tensor.data.size() <= bad.data() + bad.size());
        }
  }
}
