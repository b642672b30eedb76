// SPDX-License-Identifier: Apache-2.0
// Tiny random checkpoints of every architecture against transformers (tests/goldens/make_architectures.py).
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>

#include <nlohmann/json.hpp>

#include "gpu/host/host_model.hpp"
#include "gpu/model/transformers_directory.hpp"
#include "tests/support/gguf_of_transformers.hpp"
#include "tests/support/gguf_writer.hpp"
#include "tests/support/load_weights.hpp"

using namespace troupe;
using namespace troupe::gpu;

namespace {

constexpr std::uint32_t block_tokens = 16;
/// Both sides compute in f32, in another order: errors of some units of 2^-24 in sums over at most 112 products of
/// magnitude 1, in up to 7 layers. What was measured is below a third of it.
constexpr float tolerance = 1e-4f;

const std::filesystem::path goldens{TROUPE_SOURCE_DIR "/tests/goldens/architectures"};

struct prompt {
  std::vector<token_id> tokens;
  /// [tokens][vocabulary]
  std::vector<float> logits;
};

prompt read_prompt(const std::filesystem::path& folder, int number) {
  prompt result;
  const auto stem = folder / ("prompt_" + std::to_string(number));
  result.tokens = nlohmann::json::parse(std::ifstream{stem.string() + ".json"}).get<std::vector<token_id>>();
  std::ifstream file{stem.string() + ".logits", std::ios::binary};
  std::vector<char> bytes{std::istreambuf_iterator<char>{file}, {}};
  result.logits.resize(bytes.size() / sizeof(float));
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(result.logits.data()));
  return result;
}

/// What slid out of the windows of a token at `position` is gone: whoever reads it reads no number.
void forget_before(host::host_model& model, std::uint32_t position, std::vector<block_id>& table) {
  const auto group = model.groups()[1];
  for (std::uint32_t i = 0; i < group.first_block(position); ++i) {
    if (table[i] != no_block)
      std::fill_n(model.kv_memory(1).data + table[i] * group.block_bytes, group.block_bytes, std::byte{0xff});
    table[i] = no_block;
  }
}

/// Logits of all positions, computed in steps of `step` tokens.
std::vector<float> logits_of(host::host_model& model, std::span<const token_id> tokens, std::uint32_t step) {
  // Not in order, as in a real table.
  std::vector<block_id> table((tokens.size() + block_tokens - 1) / block_tokens);
  std::iota(table.rbegin(), table.rend(), 0);
  auto windows = table;
  std::vector<float> result;
  for (std::uint32_t begin = 0; begin < tokens.size(); begin += step) {
    if (model.groups().size() > 1)
      forget_before(model, begin, windows);
    std::vector<host::forward_token> input;
    for (auto i = begin; i < std::min<std::size_t>(begin + step, tokens.size()); ++i)
      input.push_back({tokens[i], i, {table.data(), windows.data()}});
    std::vector<std::uint32_t> wanted(input.size());
    std::iota(wanted.begin(), wanted.end(), 0u);
    std::vector<float> rows(wanted.size() * model.logits_stride());
    model.pool().run([&] { model.forward(input, wanted, rows); });
    for (std::size_t i = 0; i < wanted.size(); ++i)
      result.insert(result.end(), rows.begin() + static_cast<std::ptrdiff_t>(i * model.logits_stride()),
                    rows.begin() + static_cast<std::ptrdiff_t>(i * model.logits_stride() + model.config().vocabulary));
  }
  return result;
}

struct comparison {
  float largest = 0;
  int argmax_differences = 0;
  int decidable = 0;
};

comparison compare(const std::vector<float>& got, const std::vector<float>& want, std::uint32_t vocabulary) {
  REQUIRE(got.size() == want.size());
  comparison result;
  for (std::size_t at = 0; at < got.size(); at += vocabulary) {
    auto row = want.begin() + static_cast<std::ptrdiff_t>(at);
    auto mine = got.begin() + static_cast<std::ptrdiff_t>(at);
    for (std::uint32_t i = 0; i < vocabulary; ++i)
      result.largest = std::max(result.largest, std::abs(mine[i] - row[i]));
    std::vector<float> sorted(row, row + vocabulary);
    std::ranges::nth_element(sorted, sorted.begin() + 1, std::greater<>{});
    if (sorted[0] - sorted[1] <= 4 * tolerance)
      continue;
    ++result.decidable;
    result.argmax_differences +=
      std::max_element(mine, mine + vocabulary) - mine != std::max_element(row, row + vocabulary) - row;
  }
  return result;
}

/// Of both prompts, in steps of several sizes.
void check(const std::string& name, std::shared_ptr<const host::host_weights> weights, host::compute_pool& pool,
           host::simd_path path) {
  auto model = host::host_model::make(std::move(weights), pool, path, {8, 8}, block_tokens);
  REQUIRE(model);
  for (int number : {0, 1}) {
    const auto golden = read_prompt(goldens / name, number);
    const auto whole = logits_of(**model, golden.tokens, 1000);
    const auto c = compare(whole, golden.logits, (*model)->config().vocabulary);
    MESSAGE(name << " " << host::to_string(path) << " prompt " << number << ": largest difference " << c.largest
                 << ", argmax differs at " << c.argmax_differences << " of " << c.decidable);
    CHECK(c.largest <= tolerance);
    CHECK(c.argmax_differences == 0);
    CHECK(c.decidable > static_cast<int>(golden.tokens.size()) * 9 / 10);
    for (std::uint32_t step : {1u, 7u})
      CHECK(logits_of(**model, golden.tokens, step) == whole);
  }
}

} // namespace

TEST_CASE("every architecture gives transformers' logits, on every path and in any steps") {
  const auto pool = host::compute_pool::make(2);
  REQUIRE(pool);
  for (const std::string name : {"llama", "llama3", "mistral", "qwen2", "qwen3", "qwen3_moe", "smollm3", "gemma3"}) {
    CAPTURE(name);
    auto directory = transformers_directory::open(goldens / name);
    REQUIRE_MESSAGE(directory, directory.error().context);
    auto weights = test::load_weights(*directory);
    REQUIRE_MESSAGE(weights, weights.error().context);
    for (const auto path : host::supported_simd_paths())
      check(name, *weights, **pool, path);
  }
}

TEST_CASE("the same models as GGUF files give the same logits") {
  const auto pool = host::compute_pool::make(2);
  REQUIRE(pool);
  for (const std::string name : {"llama", "llama3", "qwen2", "qwen3", "qwen3_moe", "smollm3", "gemma3"}) {
    CAPTURE(name);
    auto directory = transformers_directory::open(goldens / name);
    REQUIRE_MESSAGE(directory, directory.error().context);
    const test::temporary_file written{test::gguf_of_transformers(*directory)};
    auto file = gguf_file::open(written.path());
    REQUIRE_MESSAGE(file, file.error().context);
    auto weights = test::load_weights(*file);
    REQUIRE_MESSAGE(weights, weights.error().context);
    check(name, *weights, **pool, host::supported_simd_paths().back());
  }
}

TEST_CASE("scores of experts that are no numbers choose each expert once, and harm nothing but themselves") {
  const auto pool = host::compute_pool::make(2);
  REQUIRE(pool);
  auto directory = transformers_directory::open(goldens / "qwen3_moe");
  REQUIRE(directory);
  auto model = describe_model(*directory);
  REQUIRE(model);
  std::vector<std::vector<std::byte>> routers;
  for (auto& layer : model->tensors.layers) {
    REQUIRE(layer.router);
    routers.emplace_back(layer.router->data.size(), std::byte{0xff}); // in every format
    layer.router->data = routers.back();
  }
  auto weights = host::host_weights::load(*model);
  REQUIRE(weights);
  for (const auto path : host::supported_simd_paths()) {
    auto executor = host::host_model::make(*weights, **pool, path, {17, 17}, block_tokens);
    REQUIRE(executor);
    // So many that an expert which a token chose twice would not fit its batch.
    std::vector<token_id> tokens(host::product_tokens_max, 1);
    const auto logits = logits_of(**executor, tokens, 1000);
    CHECK(std::ranges::all_of(logits, [](float x) { return std::isnan(x); }));
  }
}
