// SPDX-License-Identifier: Apache-2.0
// Equal tokens give equal bits through the actors of a node, whatever way a request takes.
#include <doctest/doctest.h>

#include "gpu/model/gguf.hpp"
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

TEST_CASE("the demo model's logits have equal bits on every way through the actors, on the fastest path") {
  if (const auto weights = test::load_demo_model())
    test::check_bit_equality(weights, host::supported_simd_paths().back(), test::bit_equality_extent::shared_runs);
}
