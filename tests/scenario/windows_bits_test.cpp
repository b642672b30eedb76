// SPDX-License-Identifier: Apache-2.0
// Gemma 3's tiny checkpoint, whose windows of 24 tokens are a cache group of their own, through the actors of a node:
// what slides out is written by others, and no bit of a logit changes.
#include <doctest/doctest.h>

#include <filesystem>

#include "gpu/host/host_executor.hpp"
#include "gpu/model/transformers_directory.hpp"
#include "tests/support/host_node.hpp"
#include "tests/support/load_weights.hpp"
#include "tests/support/splitmix64.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

std::shared_ptr<const gpu::host::host_weights> load_gemma() {
  const std::filesystem::path goldens = TROUPE_SOURCE_DIR "/tests/goldens/architectures";
  auto directory = gpu::transformers_directory::open(goldens / "gemma3");
  REQUIRE(directory);
  auto weights = load_weights(*directory);
  REQUIRE(weights);
  return *weights;
}

std::vector<inference_request> make_requests(std::uint32_t vocabulary) {
  splitmix64 random{5};
  std::vector<inference_request> result;
  for (std::uint32_t length : {3u, 15u, 16u, 24u, 25u, 33u, 40u, 48u, 90u, 130u, 160u, 170u}) {
    auto& r = result.emplace_back();
    for (std::uint32_t t = 0; t < length; ++t)
      r.prompt.push_back(random.below(vocabulary));
    r.output_tokens_max = 70;
    r.sampling.seed = 100 + result.size(); // names it in the log
    r.sampling.temperature = result.size() % 2 == 0 ? 0 : 1;
  }
  return result;
}

} // namespace

TEST_CASE("windows that others write over, on every way through the actors, change no bit of a logit") {
  const auto weights = load_gemma();
  const auto groups = gpu::host::kv_groups(*weights, 16);
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].layers == 1);
  CHECK(groups[1].layers == 6);
  CHECK(groups[1].window_tokens == 24);
  const auto requests = make_requests(weights->config().vocabulary);
  // What a sequence may always have is 3 blocks; all of them together have texts of 93.
  constexpr std::uint32_t share = 3;
  for (auto path : gpu::host::supported_simd_paths()) {
    CAPTURE(gpu::host::to_string(path));
    host_node undisturbed{{.weights = weights, .path = path}};
    const auto right = undisturbed.run(requests, 1);
    const auto check = [&](host_node& node, std::uint32_t together) {
      const auto got = node.run(requests, together);
      for (std::size_t i = 0; i < requests.size(); ++i) {
        CAPTURE(i);
        CHECK(got.answers[i].finish == finish_reason::length);
        CHECK(got.answers[i].tokens == right.answers[i].tokens);
        const auto seed = requests[i].sampling.seed;
        for (const auto& [position, hash] : got.logits.sequences.at(seed).hashes)
          CHECK(hash == right.logits.sequences.at(seed).hashes.at(position));
      }
      CHECK(got.logits.contradictions == 0);
      CHECK(node.metric("kv-blocks-free", "decode") == node.metric("kv-blocks", "decode"));
    };
    host_node one{{.weights = weights, .path = path, .chunk_tokens = 32, .window_blocks = share}};
    check(one, 1);
    // In so few blocks even one text has written over itself.
    CHECK(one.metric("kv-blocks", "decode") == 384 + share);
    host_node few{{.weights = weights, .path = path, .chunk_tokens = 64, .window_blocks = 4 * share}};
    check(few, 8);
    CHECK(few.metric("preemptions", "decode") > 0);
    host_node two{
      {.weights = weights, .path = path, .prefill_workers = 1, .chunk_tokens = 64, .window_blocks = 8 * share}};
    check(two, 8);
    CHECK(two.metric("kv-landings-completed", "decode") >= static_cast<std::int64_t>(requests.size()));
    // From the prefix cache, as far as the windows are there.
    check(two, 8);
  }
}
