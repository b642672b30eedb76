// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sampling_goldens.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <doctest/doctest.h>

#include "tests/support/byte_reader.hpp"
#include "tests/support/damaged_copy.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

const std::filesystem::path file = TROUPE_SOURCE_DIR "/tests/goldens/sampling/rows.bin";

sampling_goldens load() {
  auto goldens = sampling_goldens::load(file);
  REQUIRE(goldens);
  return std::move(*goldens);
}

} // namespace

// Softmax at a temperature needs no cuts, so these rows prove that both sides draw the same inputs.
TEST_CASE("rows are drawn as the script drew them") {
  const auto goldens = load();
  int greedy = 0;
  for (std::uint32_t index = 0; index < sampling_goldens::rows; ++index) {
    CAPTURE(index);
    const auto x = goldens.row(0, index);
    const auto largest = std::ranges::max_element(x.logits);
    const auto argmax = static_cast<token_id>(largest - x.logits.begin());
    if (x.options.temperature == 0) {
      CHECK(x.kept == 1);
      CHECK(x.hash == kept_hash(std::vector{argmax}));
      ++greedy;
      continue;
    }
    double sum = 0;
    double moment = 0;
    for (token_id id = 0; id < x.logits.size(); ++id) {
      const auto weight = std::exp(double(x.logits[id] - *largest) / x.options.temperature);
      sum += weight;
      moment += weight * (id + 1) / sampling_goldens::vocabulary;
    }
    CHECK(std::abs(1 / sum - x.most) < 1e-5);
    CHECK(std::abs(moment / sum - x.moment) < 1e-5);
  }
  CHECK(greedy > 10);
}

TEST_CASE("an option's rows leave the other options at rest") {
  const auto goldens = load();
  for (std::uint32_t index = 0; index < sampling_goldens::rows; ++index) {
    const auto x = goldens.row(1, index).options;
    CHECK(x.top_p < 1);
    CHECK(x.temperature == 1);
    CHECK(x.top_k == 0);
    CHECK(x.min_p == 0);
    CHECK(x.presence_penalty == 0);
    CHECK(x.frequency_penalty == 0);
    CHECK(x.repetition_penalty == 1);
    CHECK(x.logit_bias.empty());
  }
}

TEST_CASE("damaged sampling goldens are refused") {
  auto bytes = read_golden_file(file);
  REQUIRE(bytes);
  SUBCASE("another magic") { (*bytes)[7] ^= std::byte{1}; }
  SUBCASE("another count of rows") { (*bytes)[12] ^= std::byte{1}; }
  SUBCASE("a kept count of zero") { (*bytes)[20] = (*bytes)[21] = std::byte{0}; }
  SUBCASE("a byte too few") { bytes->pop_back(); }
  SUBCASE("a byte too many") { bytes->push_back({}); }
  SUBCASE("an empty file") { bytes->clear(); }
  const damaged_copy copy("sampling_goldens_damaged.bin", *bytes);
  CHECK_FALSE(sampling_goldens::load(copy.path()));
}
