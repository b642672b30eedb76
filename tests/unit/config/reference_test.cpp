// SPDX-License-Identifier: Apache-2.0
#include "actors/config/reference.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

#include "actors/config/read_config.hpp"

using namespace troupe;

namespace {

std::string content_of(const std::string& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

} // namespace

TEST_CASE("configs/reference.conf is what the program writes") {
  const std::string expected_text = reference_config();
  const bool same = content_of(TROUPE_SOURCE_DIR "/configs/reference.conf") == expected_text;
  CHECK_MESSAGE(same, "write it anew: troupe check --reference > configs/reference.conf");
}

TEST_CASE("reading the reference gives the compiled defaults with every role present") {
  auto read = read_config(TROUPE_SOURCE_DIR "/configs/reference.conf");
  if (!read)
    FAIL(to_string(read.error()));
  node_config defaults;
  defaults.cluster.emplace();
  defaults.http.emplace();
  defaults.admin.emplace();
  defaults.prefill_worker.emplace();
  defaults.decode_worker.emplace();
  defaults.model.path = TROUPE_SOURCE_DIR "/models/SmolLM2-135M-Instruct.Q4_1.gguf"; // an example: there is no default
  CHECK(*read == defaults);
}

TEST_CASE("the demo disaggregates and the aggregated configuration does not") {
  auto demo = read_config(TROUPE_SOURCE_DIR "/configs/demo.conf");
  if (!demo)
    FAIL(to_string(demo.error()));
  CHECK(demo->http);
  CHECK(demo->prefill_worker);
  CHECK(demo->decode_worker);
  CHECK(demo->router.disaggregate_over == 0);
  CHECK(demo->model.path == TROUPE_SOURCE_DIR "/models/SmolLM2-135M-Instruct.Q4_1.gguf");
  auto aggregated = read_config(TROUPE_SOURCE_DIR "/configs/aggregated.conf");
  if (!aggregated)
    FAIL(to_string(aggregated.error()));
  CHECK(aggregated->http);
  CHECK_FALSE(aggregated->prefill_worker);
  CHECK(aggregated->decode_worker);
}
