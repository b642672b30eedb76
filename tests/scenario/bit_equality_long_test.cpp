// SPDX-License-Identifier: Apache-2.0
// bit_equality_test.cpp for the demo model on the paths that are too slow for every day.
#include <doctest/doctest.h>

#include "tests/scenario/bit_equality.hpp"

using namespace troupe;
using namespace troupe::gpu;

TEST_CASE("the demo model's logits have equal bits on every way through the actors, on every path of this CPU") {
  const auto weights = test::load_demo_model();
  if (!weights)
    return;
  for (auto path : host::supported_simd_paths())
    test::check_bit_equality(weights, path, test::bit_equality_extent::each_alone);
}
