// SPDX-License-Identifier: Apache-2.0
// Logits of the demo model against those of an exact forward pass (tests/goldens/README.md).
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <span>

#include <nlohmann/json.hpp>

#include "gpu/host/host_model.hpp"
#include "tests/support/load_weights.hpp"
#include "tests/support/logit_goldens.hpp"
#include "tests/support/prompt_logits.hpp"

using namespace troupe;
using namespace troupe::gpu;

namespace {

const std::filesystem::path model_path{TROUPE_SOURCE_DIR "/models/SmolLM2-135M-Instruct.Q4_1.gguf"};
const std::filesystem::path goldens_path{TROUPE_SOURCE_DIR "/tests/goldens/logits"};

void compare(host::host_model& model, const test::logit_prompt& prompt, test::logit_comparison& comparison) {
  std::vector<std::uint32_t> positions;
  for (const auto& p : prompt.positions)
    positions.push_back(p.position);
  const auto logits = test::prompt_logits(model, prompt.tokens, positions);
  for (std::size_t i = 0; i < prompt.positions.size(); ++i)
    comparison.add(prompt.positions[i],
                   std::span{logits}.subspan(i * model.logits_stride(), model.config().vocabulary));
}

} // namespace

TEST_CASE("logits of the demo model are those of its exact weights") {
  if (!std::filesystem::exists(model_path)) {
    MESSAGE("SKIPPED: no " << model_path.string());
    return;
  }
  const auto goldens = test::logit_goldens::load(goldens_path / "smollm2_q4_1.bin");
  REQUIRE(goldens);
  const auto judged = nlohmann::json::parse(std::ifstream{goldens_path / "llama_cpp_errors.json"})["f32"];
  auto file = gguf_file::open(model_path);
  REQUIRE(file);
  const auto weights = test::load_weights(*file);
  REQUIRE(weights);
  const auto pool = host::compute_pool::make();
  REQUIRE(pool);

  for (auto path : host::supported_simd_paths()) {
    CAPTURE(host::to_string(path));
    auto model = host::host_model::make(*weights, **pool, path, {64, 64}, test::prompt_logits_block_tokens);
    REQUIRE(model);
    test::logit_comparison comparison;
    for (const auto& prompt : goldens->prompts)
      compare(**model, prompt, comparison);
    MESSAGE(host::to_string(path) << ": mean " << comparison.mean_abs() << ", max " << comparison.max_abs()
                                  << ", other argmax " << comparison.argmax_differences() << " of "
                                  << comparison.positions() << "; llama.cpp: mean "
                                  << judged["compared"]["mean_abs"].get<double>() << ", max "
                                  << judged["compared"]["max_abs"].get<double>() << ", other argmax "
                                  << judged["argmax_differences"].get<int>());
    CHECK(comparison.positions() == 1280);
    // Activations of 16 bits err by 0.012 at most, so every path keeps the bound.
    CHECK(comparison.max_abs() <= 0.02);
    CHECK(comparison.mean_abs() <= judged["compared"]["mean_abs"].get<double>());
    CHECK(comparison.argmax_differences() <= judged["argmax_differences"].get<std::uint64_t>());
  }
}
