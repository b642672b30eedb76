// SPDX-License-Identifier: Apache-2.0
// Equal tokens give equal bits through the actors of a node, whatever way a request takes.
#include <doctest/doctest.h>

#include <filesystem>
#include <set>
#include <string>

#include "gpu/model/gguf.hpp"
#include "gpu/model/transformers_directory.hpp"
#include "tests/scenario/bit_equality.hpp"
#include "tests/support/load_weights.hpp"
#include "tests/support/tiny_llama.hpp"

using namespace troupe;
using namespace troupe::gpu;

TEST_CASE("a small model's logits have equal bits on every way through the actors, on every path of this CPU") {
  const test::temporary_file file{test::tiny_llama{}.write()};
  auto opened = gguf_file::open(file.path());
  REQUIRE(opened);
  const auto weights = test::load_weights(*opened);
  REQUIRE(weights);
  for (auto path : host::supported_simd_paths())
    test::check_bit_equality(*weights, path, test::bit_equality_extent::each_alone);
}

TEST_CASE("every architecture's logits have equal bits on every way through the actors, on every path of this CPU") {
  std::set<std::filesystem::path> goldens;
  for (const auto& entry : std::filesystem::directory_iterator{TROUPE_SOURCE_DIR "/tests/goldens/architectures"})
    goldens.insert(entry.path());
  REQUIRE(goldens.size() >= 8);
  for (const auto& path : goldens) {
    CAPTURE(path.filename().string());
    auto opened = transformers_directory::open(path);
    REQUIRE(opened);
    auto model = describe_model(*opened);
    REQUIRE(model);
    // They state less than the longest prompts; nothing but the bound depends on it.
    model->config.context_tokens = 2048;
    const auto weights = host::host_weights::load(*model, host::weight_format::as_stored);
    REQUIRE(weights);
    for (auto simd : host::supported_simd_paths())
      test::check_bit_equality(*weights, simd, test::bit_equality_extent::few_prompts);
  }
}

TEST_CASE("the demo model's logits have equal bits on every way through the actors, on the fastest path") {
  if (const auto weights = test::load_demo_model())
    test::check_bit_equality(weights, host::supported_simd_paths().back(), test::bit_equality_extent::shared_runs);
}
