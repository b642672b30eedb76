// SPDX-License-Identifier: Apache-2.0
// The host executor against text that somebody else's engine published.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "gpu/host/host_executor.hpp"
#include "tests/support/executor_driver.hpp"
#include "tests/support/load_weights.hpp"

using namespace troupe;
using namespace troupe::gpu;

namespace {

const std::filesystem::path models{TROUPE_SHARED_DATA "/models"};

/// SentencePiece pieces to text: U+2581 is a space, <0xHH> a byte.
std::string text_of(std::span<const token_id> tokens, std::span<const std::string_view> pieces) {
  const std::string_view space = "\u2581";
  std::string text;
  for (auto token : tokens) {
    std::string piece{pieces[token]};
    if (piece.size() == 6 && piece.starts_with("<0x"))
      piece = std::string(1, static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16)));
    for (auto at = piece.find(space); at != std::string::npos; at = piece.find(space))
      piece.replace(at, space.size(), " ");
    text += piece;
  }
  return text;
}

std::string read_file(const std::filesystem::path& path) {
  std::ostringstream content;
  content << std::ifstream{path, std::ios::binary}.rdbuf();
  return content.str();
}

} // namespace

TEST_CASE("stories260K writes its published text on every path of this CPU") {
  if (!std::filesystem::exists(models / "stories260K.gguf")) {
    MESSAGE("SKIPPED: no stories260K.gguf in " << models.string());
    return;
  }
  auto file = gguf_file::open(models / "stories260K.gguf");
  REQUIRE(file);
  const auto pieces = file->find_strings("tokenizer.ggml.tokens");
  REQUIRE(pieces);
  const auto weights = test::load_weights(*file);
  REQUIRE(weights);
  const auto pool = host::compute_pool::make(2);
  REQUIRE(pool);
  auto expected_text = read_file(models / "stories260K_expected_greedy200.txt");
  REQUIRE(expected_text.size() > 400);

  for (auto path : host::supported_simd_paths()) {
    CAPTURE(host::to_string(path));
    const auto calls = host::kernel_calls(path);
    auto executor = host::make_host_executor(*weights, *pool, {.kv_blocks = 32, .simd = path});
    REQUIRE(executor);
    test::executor_driver driver{**executor};
    auto sequence = driver.start({1}, test::greedy());
    driver.generate(sequence, 200, 1);
    const auto text = text_of(sequence.output(), *pieces);
    // The published text starts without the first piece's space.
    CHECK(text.substr(1) == expected_text);
    CHECK(host::kernel_calls(path) > calls + 199);
  }
}
