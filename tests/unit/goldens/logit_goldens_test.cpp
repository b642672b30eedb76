// SPDX-License-Identifier: Apache-2.0
#include "tests/support/logit_goldens.hpp"

#include <algorithm>
#include <cstring>
#include <doctest/doctest.h>
#include <limits>
#include <set>

#include "tests/support/byte_reader.hpp"
#include "tests/support/damaged_copy.hpp"
#include "tests/support/splitmix64.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

const std::filesystem::path file = TROUPE_SOURCE_DIR "/tests/goldens/logits/smollm2_q4_1.bin";

std::vector<std::byte> golden_bytes() {
  auto bytes = read_golden_file(file);
  REQUIRE(bytes);
  return std::move(*bytes);
}

template <class T>
void put(std::vector<std::byte>& bytes, std::size_t offset, T value) {
  REQUIRE(offset + sizeof(T) <= bytes.size());
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
}

bool loads(std::span<const std::byte> bytes) {
  const damaged_copy copy("logit_goldens_damaged.bin", bytes);
  return logit_goldens::load(copy.path()).has_value();
}

} // namespace

TEST_CASE("the logit goldens hold 1,280 positions of 20 prompts") {
  const auto goldens = logit_goldens::load(file);
  REQUIRE(goldens);
  CHECK(goldens->vocabulary == 49'152);
  CHECK(goldens->prompts.size() == 20);
  std::size_t positions = 0;
  for (const auto& prompt : goldens->prompts) {
    positions += prompt.positions.size();
    CHECK(prompt.tokens.size() >= 5);
    for (const auto& x : prompt.positions) {
      REQUIRE(x.ids.size() == 128);
      REQUIRE(x.values.size() == 128);
      CHECK(x.gap() > 1e-4f);
      CHECK(std::set(x.ids.begin(), x.ids.begin() + 64).size() == 64);
    }
  }
  CHECK(positions == 1'280);
}

// A drawn id that is also among the largest must have the largest's value: it would not if the reader
// drew other ids than the script.
TEST_CASE("an id that is listed twice has one value") {
  const auto goldens = logit_goldens::load(file);
  REQUIRE(goldens);
  int repeated = 0;
  for (const auto& prompt : goldens->prompts)
    for (const auto& x : prompt.positions)
      for (std::size_t i = 64; i < 128; ++i) {
        const auto first = std::find(x.ids.begin(), x.ids.begin() + static_cast<long>(i), x.ids[i]) - x.ids.begin();
        if (static_cast<std::size_t>(first) < i) {
          CHECK(x.values[static_cast<std::size_t>(first)] == x.values[i]);
          ++repeated;
        }
        if (first >= 64)
          CHECK(x.values[i] <= x.values[63]);
      }
  CHECK(repeated > 50);
}

TEST_CASE("damaged logit goldens are refused") {
  const auto whole = golden_bytes();
  REQUIRE(loads(whole));
  auto bytes = whole;
  SUBCASE("another magic") { bytes[0] ^= std::byte{1}; }
  SUBCASE("more prompts than there are") { put(bytes, 16, std::uint32_t{21}); }
  SUBCASE("a vocabulary smaller than a prompt's token") { put(bytes, 20, std::uint32_t{64}); }
  SUBCASE("a vocabulary smaller than a largest id") { put(bytes, 20, std::uint32_t{49'000}); }
  SUBCASE("no vocabulary") { put(bytes, 20, std::uint32_t{0}); }
  SUBCASE("a count of largest logits that overflows") { put(bytes, 24, std::uint32_t{0xFFFFFFFF}); }
  SUBCASE("a prompt longer than the file") { put(bytes, 32, std::uint32_t{0x7FFFFFFF}); }
  SUBCASE("more positions than tokens") { put(bytes, 36, std::uint32_t{6}); }
  SUBCASE("a value that is not a number") { put(bytes, bytes.size() - 4, std::numeric_limits<float>::quiet_NaN()); }
  SUBCASE("a byte too many") { bytes.push_back({}); }
  SUBCASE("a byte too few") { bytes.pop_back(); }
  CHECK_FALSE(loads(bytes));
}

TEST_CASE("truncated logit goldens are refused wherever they end") {
  const auto whole = golden_bytes();
  splitmix64 rng(1);
  for (int i = 0; i < 30; ++i) {
    const auto size = rng.below(i < 15 ? 200 : static_cast<std::uint32_t>(whole.size()));
    CAPTURE(size);
    CHECK_FALSE(loads(std::span(whole).first(size)));
  }
}

TEST_CASE("a comparison counts mean, maximum and argmax differences") {
  const logit_position golden{.position = 0, .ids = {2, 1, 0, 2}, .values = {3, 1, 0, 3}};
  logit_comparison x;
  x.add(golden, std::vector<float>{0, 1, 3, -9});
  CHECK(x.mean_abs() == 0);
  CHECK(x.argmax_differences() == 0);
  x.add(golden, std::vector<float>{0, 1.5, 1, -9});
  CHECK(x.mean_abs() == doctest::Approx(4.5 / 8));
  CHECK(x.max_abs() == 2);
  CHECK(x.argmax_differences() == 1);
  CHECK(x.positions() == 2);
  x.add(golden, std::vector<float>{0, std::numeric_limits<float>::quiet_NaN(), 3, -9});
  CHECK(x.max_abs() == std::numeric_limits<double>::infinity());
}
