// SPDX-License-Identifier: Apache-2.0
// Files that lie: seeded damage to honest ones. A file is refused with what is wrong where, or opens and
// every byte it promises can be read; under AddressSanitizer a read beyond the end ends the test.
#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "gpu/model/gguf.hpp"
#include "gpu/model/gguf_parser.hpp"
#include "tests/support/gguf_writer.hpp"

using namespace troupe::gpu;
using troupe::test::gguf_writer;
using troupe::test::temporary_file;

namespace {

using bytes = std::vector<std::byte>;
using generator = std::mt19937_64;

constexpr int mutations = 200;

std::size_t below(generator& random, std::size_t bound) { return random() % bound; }

// Most damage goes where the structure is; the rest of a file is weights.
std::size_t draw_position(generator& random, const bytes& file, std::size_t header_bytes) {
  auto structured = random() % 8 != 0;
  return below(random, structured ? std::min(header_bytes, file.size()) : file.size());
}

template <class T>
void overwrite(bytes& file, std::size_t at, T value) {
  if (file.size() - at >= sizeof value)
    std::memcpy(file.data() + at, &value, sizeof value);
}

// Values around every edge that the format's numbers have.
std::uint64_t nasty_number(generator& random, std::uint64_t file_bytes) {
  const std::array<std::uint64_t, 14> edges{0,
                                            1,
                                            4,
                                            31,
                                            0x7fffffff,
                                            0x80000000,
                                            0xffffffff,
                                            std::uint64_t{1} << 61,
                                            std::uint64_t{1} << 62,
                                            std::uint64_t{1} << 63,
                                            ~std::uint64_t{0},
                                            ~std::uint64_t{31},
                                            file_bytes,
                                            file_bytes + 1};
  return edges[below(random, edges.size())];
}

// One wound: cut, flip, overwrite, remove or repeat.
void damage(bytes& file, generator& random, std::size_t header_bytes) {
  auto at = draw_position(random, file, header_bytes);
  switch (below(random, 7)) {
    case 0: file.resize(at); break;
    case 1: file[at] ^= static_cast<std::byte>(1U << below(random, 8)); break;
    case 2: overwrite(file, at, nasty_number(random, file.size())); break;
    case 3: overwrite(file, at, static_cast<std::uint32_t>(nasty_number(random, file.size()))); break;
    case 4: file[at] = static_cast<std::byte>(random()); break;
    case 5: { // bytes are missing
      auto end = std::min(file.size(), at + 1 + below(random, 16));
      file.erase(file.begin() + static_cast<std::ptrdiff_t>(at), file.begin() + static_cast<std::ptrdiff_t>(end));
      break;
    }
    case 6: { // bytes occur twice
      bytes piece{file.begin() + static_cast<std::ptrdiff_t>(at),
                  file.begin() + static_cast<std::ptrdiff_t>(std::min(file.size(), at + 1 + below(random, 64)))};
      file.insert(file.begin() + static_cast<std::ptrdiff_t>(at), piece.begin(), piece.end());
      break;
    }
  }
}

unsigned touch(std::span<const std::byte> data) {
  unsigned sum = 0;
  for (auto byte : data)
    sum += std::to_integer<unsigned>(byte);
  return sum;
}

bool inside(std::span<const std::byte> part, std::span<const std::byte> whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

bool names_the_place(const std::string& message) { return message.find("(byte ") != std::string::npos; }

// Reads everything that an opened file offers.
unsigned touch_all(const gguf_file& f, const gguf_contents& keys) {
  unsigned sum = 0;
  for (auto& t : f.tensors())
    sum += touch(t.data);
  for (auto& [key, value] : keys.keys) {
    sum += touch(value.bytes);
    if (auto strings = f.find_strings(key))
      for (auto& s : *strings)
        sum += touch(std::as_bytes(std::span{s}));
    if (auto floats = f.find_floats(key))
      sum += static_cast<unsigned>(floats->size());
    if (auto ints = f.find_ints(key))
      sum += static_cast<unsigned>(ints->size());
    sum += f.find_uint(key).has_value() + f.find_float(key).has_value() + f.find_bool(key).has_value()
           + f.find_string(key).has_value();
  }
  return sum;
}

struct tally {
  int refused = 0;
  int opened = 0;
};

void judge(const bytes& damaged, tally& count) {
  // Exactly sized heap memory: one byte too far is seen. capacity may exceed size, so copy.
  bytes file(damaged);
  file.shrink_to_fit();
  auto parsed = parse_gguf(file, {});
  if (!parsed) {
    CHECK_MESSAGE(names_the_place(parsed.error().context), parsed.error().context);
    ++count.refused;
    return;
  }
  ++count.opened;
  unsigned sum = 0;
  for (auto& t : parsed->tensors) {
    REQUIRE(inside(t.data, file));
    sum += touch(t.data);
  }
  // The same through the mapping and the queries.
  temporary_file on_disk{file};
  auto opened = gguf_file::open(on_disk.path());
  REQUIRE(opened);
  sum += touch_all(*opened, *parsed);
  CHECK(sum != 1); // uses the sum
}

bytes synthetic() {
  gguf_writer w;
  w.add_alignment(64);
  w.add_string("general.architecture", "llama");
  w.add_uint32("llama.block_count", 1);
  w.add_float("eps", 0.5F);
  w.add_bool("flag", true);
  w.add_strings("tokens", std::array<std::string, 4>{"<s>", "", "lorem", "ipsum"});
  w.add_floats("scores", std::array{1.0F, -2.0F, 0.0F, 3.0F});
  w.add_ints("types", std::array{1, -1, 3, 4});
  bytes data(34 * 4);
  w.add_tensor("a", tensor_type::q8_0, std::array<std::uint64_t, 2>{64, 2}, data);
  w.add_tensor("b", tensor_type::q4_0, std::array<std::uint64_t, 3>{32, 2, 1}, std::span{data}.first(36));
  w.add_tensor("c", std::array<std::uint64_t, 1>{5}, std::array{1.0F, 2.0F, 3.0F, 4.0F, 5.0F});
  return w.finish();
}

tally mutate(const bytes& whole, std::size_t header_bytes) {
  tally count;
  for (int seed = 0; seed < mutations; ++seed) {
    CAPTURE(seed);
    generator random(static_cast<std::uint64_t>(seed));
    auto file = whole;
    auto wounds = 1 + below(random, 3);
    for (std::size_t i = 0; i < wounds && !file.empty(); ++i)
      damage(file, random, header_bytes);
    judge(file, count);
  }
  return count;
}

} // namespace

TEST_CASE("200 seeded mutations of a synthetic file are refused with the place, or open") {
  auto whole = synthetic();
  REQUIRE(parse_gguf(whole, {}));
  auto count = mutate(whole, whole.size());
  MESSAGE("refused " << count.refused << ", opened " << count.opened);
  CHECK(count.refused + count.opened == mutations);
  // Both branches must have been reached for this to mean something.
  CHECK(count.refused >= 50);
  CHECK(count.opened >= 20);
}

TEST_CASE("an edge value at any byte of the header is refused with the place, or opens") {
  auto whole = synthetic();
  tally count;
  generator random(1);
  for (std::size_t at = 4; at + 8 < whole.size(); ++at) {
    CAPTURE(at);
    auto file = whole;
    overwrite(file, at, nasty_number(random, file.size()));
    judge(file, count);
  }
  MESSAGE("refused " << count.refused << ", opened " << count.opened);
  CHECK(count.refused >= 100);
}

TEST_CASE("200 seeded mutations of the 260K stories model are refused with the place, or open") {
  auto path = std::filesystem::path{TROUPE_SHARED_DATA} / "models/stories260K.gguf";
  if (!std::filesystem::exists(path)) {
    MESSAGE("SKIPPED: " << path.string() << " is absent");
    return;
  }
  std::ifstream in{path, std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  auto raw = std::as_bytes(std::span{text});
  bytes whole{raw.begin(), raw.end()};
  auto parsed = parse_gguf(whole, {});
  REQUIRE(parsed);
  auto header_bytes = whole.size();
  for (auto& t : parsed->tensors)
    header_bytes = std::min(header_bytes, static_cast<std::size_t>(t.data.data() - whole.data()));
  auto count = mutate(whole, header_bytes);
  MESSAGE("refused " << count.refused << ", opened " << count.opened);
  CHECK(count.refused >= 50);
}
