// SPDX-License-Identifier: Apache-2.0
// Equal tokens give equal bits: the hash of every logit row, greedy and seeded, whatever a sequence is
// batched with, however its prompt is cut, on any number of threads, after preemption.
#include <doctest/doctest.h>

#include <algorithm>
#include <optional>

#include "gpu/host/host_executor.hpp"
#include "tests/support/executor_driver.hpp"
#include "tests/support/load_weights.hpp"
#include "tests/support/splitmix64.hpp"
#include "tests/support/tiny_llama.hpp"

using namespace troupe;
using namespace troupe::gpu;

namespace {

std::shared_ptr<const host::host_weights> load(const test::tiny_llama& model) {
  const test::temporary_file file{model.write()};
  auto opened = gguf_file::open(file.path());
  REQUIRE(opened);
  auto weights = test::load_weights(*opened);
  REQUIRE_MESSAGE(weights, weights.error().context);
  return *weights;
}

std::shared_ptr<host::compute_pool> make_pool(std::uint32_t threads) {
  auto pool = host::compute_pool::make(threads);
  REQUIRE(pool);
  return *pool;
}

std::unique_ptr<executor> make_executor(const std::shared_ptr<const host::host_weights>& weights,
                                        const std::shared_ptr<host::compute_pool>& pool, host::simd_path path) {
  auto made =
    host::make_host_executor(weights, pool, {.kv_blocks = 1024, .tokens_max = 8192, .hash_logits = true, .simd = path});
  REQUIRE_MESSAGE(made, made.error().context);
  return std::move(*made);
}

struct request {
  std::vector<token_id> prompt;
  sampling_options options;
};

/// 20 prompts of 5 to 1,500 tokens, half of them greedy, half seeded with every option at work.
std::vector<request> make_requests(std::uint32_t vocabulary) {
  test::splitmix64 random{42};
  std::vector<request> requests;
  for (std::uint32_t i = 0; i < 20; ++i) {
    auto& r = requests.emplace_back();
    const auto length = i == 19 ? 1500u : 5 + i * i;
    for (std::uint32_t t = 0; t < length; ++t)
      r.prompt.push_back(random.below(vocabulary));
    if (i % 2 == 0) {
      r.options = test::greedy();
      continue;
    }
    r.options.seed = i;
    r.options.temperature = 1.5f;
    r.options.top_p = 0.95f;
    r.options.min_p = 0.001f;
    r.options.frequency_penalty = 0.5f;
    r.options.presence_penalty = 0.25f;
    r.options.repetition_penalty = 1.1f;
  }
  return requests;
}

struct answer {
  std::vector<token_id> tokens;
  std::vector<std::uint64_t> hashes;
  friend bool operator==(const answer&, const answer&) = default;
};

constexpr std::uint32_t output_tokens = 12;
constexpr std::uint32_t whole = 4096;

/// Each request alone, its prompt in chunks; `preempt_at` tokens of output it is recomputed from scratch.
std::vector<answer> answer_singly(test::executor_driver& driver, const std::vector<request>& requests,
                                  std::uint32_t chunk, std::optional<std::uint32_t> preempt_at = std::nullopt) {
  std::vector<answer> answers;
  for (const auto& r : requests) {
    auto s = driver.start(r.prompt, r.options);
    if (preempt_at) {
      driver.generate(s, *preempt_at, chunk);
      driver.restart(s);
    }
    driver.generate(s, output_tokens, chunk);
    answers.push_back({s.tokens, s.hashes});
    driver.finish(s);
  }
  return answers;
}

/// Eight at a time, prefill and decode mixed.
std::vector<answer> answer_in_batches(test::executor_driver& driver, const std::vector<request>& requests,
                                      std::uint32_t chunk) {
  constexpr std::size_t batch = 8;
  std::vector<answer> answers;
  for (std::size_t begin = 0; begin < requests.size(); begin += batch) {
    std::vector<test::driven_sequence> sequences;
    for (std::size_t i = begin; i < std::min(begin + batch, requests.size()); ++i)
      sequences.push_back(driver.start(requests[i].prompt, requests[i].options));
    std::vector<test::driven_sequence*> pointers;
    for (auto& s : sequences)
      pointers.push_back(&s);
    driver.generate(pointers, output_tokens, chunk);
    for (auto& s : sequences) {
      answers.push_back({s.tokens, s.hashes});
      driver.finish(s);
    }
  }
  return answers;
}

/// Prompts computed by one executor, tokens by another into whose memory the KV was copied.
std::vector<answer> answer_disaggregated(test::executor_driver& a, test::executor_driver& b,
                                         const std::vector<request>& requests) {
  auto& prefill = a.executor();
  auto& decode = b.executor();
  std::vector<answer> answers;
  const auto bytes = prefill.info().groups[0].block_bytes;
  for (const auto& r : requests) {
    auto source = a.start(r.prompt, r.options);
    a.generate(source, 1, 64);
    auto target = b.adopt(source);
    for (std::size_t i = 0; i < target.blocks.size(); ++i)
      std::copy_n(prefill.kv_memory(0).data + source.blocks[i] * bytes, bytes,
                  decode.kv_memory(0).data + target.blocks[i] * bytes);
    b.generate(target, output_tokens, 1);
    answers.push_back({target.tokens, target.hashes});
    a.finish(source);
    b.finish(target);
  }
  return answers;
}

} // namespace

TEST_CASE("logits and tokens have equal bits however they are computed, on every path of this CPU") {
  const test::tiny_llama model;
  const auto weights = load(model);
  const auto requests = make_requests(model.vocabulary);
  const auto one_thread = make_pool(1);
  const auto two_threads = make_pool(2);
  for (auto path : host::supported_simd_paths()) {
    CAPTURE(host::to_string(path));
    const auto calls = host::kernel_calls(path);
    const auto first_executor = make_executor(weights, two_threads, path);
    test::executor_driver first{*first_executor};
    const auto singles = answer_singly(first, requests, whole);
    REQUIRE(singles.size() == requests.size());
    for (const auto& a : singles)
      REQUIRE(a.hashes.size() == output_tokens);
    CHECK(host::kernel_calls(path) > calls);

    CHECK((answer_singly(first, requests, 64) == singles));
    CHECK((answer_in_batches(first, requests, whole) == singles));
    CHECK((answer_in_batches(first, requests, 7) == singles));
    CHECK((answer_singly(first, requests, 64, 5) == singles));
    const auto second_executor = make_executor(weights, one_thread, path);
    test::executor_driver second{*second_executor};
    CHECK((answer_singly(second, requests, whole) == singles));
    CHECK((answer_disaggregated(first, second, requests) == singles));
    // What the comparison rests on: another seed draws other tokens, and hashes tell logits apart.
    CHECK(singles[0].hashes[0] != singles[2].hashes[0]);
    auto reseeded = requests;
    for (auto& r : reseeded)
      r.options.seed += 1000;
    CHECK_FALSE((answer_singly(first, reseeded, whole) == singles));
  }
}

TEST_CASE("a step with more rows than the head takes at once gives each row its own logits") {
  const test::tiny_llama model;
  const auto weights = load(model);
  const auto pool = make_pool(2);
  constexpr std::uint32_t rows = 600; // the head takes 256
  auto made = host::make_host_executor(weights, pool,
                                       {.kv_blocks = rows, .slots_max = rows, .rows_max = rows, .hash_logits = true});
  REQUIRE(made);
  test::executor_driver driver{**made};
  std::vector<test::driven_sequence> sequences;
  for (std::uint32_t i = 0; i < rows; ++i)
    sequences.push_back(driver.start({i % model.vocabulary, i / model.vocabulary}, test::greedy()));
  std::vector<test::driven_sequence*> pointers;
  for (auto& s : sequences)
    pointers.push_back(&s);
  driver.generate(pointers, 2, whole);
  for (auto& s : sequences) {
    const auto together = s.hashes;
    s.tokens.resize(s.prompt_tokens);
    s.hashes.clear();
    driver.restart(s);
    driver.generate(s, 2, whole);
    REQUIRE(s.hashes == together);
  }
}

TEST_CASE("equal bits hold for every weight type, odd head widths and untied heads") {
  const tensor_type types[] = {tensor_type::f32,  tensor_type::f16,  tensor_type::bf16, tensor_type::q8_0,
                               tensor_type::q4_0, tensor_type::q4_1, tensor_type::q5_0, tensor_type::q5_1,
                               tensor_type::q4_k, tensor_type::q5_k, tensor_type::q6_k};
  const auto pool = make_pool(2);
  for (auto type : types) {
    CAPTURE(to_string(type));
    const bool blocks = packing_of(type).elements == 256; // K-quants want whole ones
    // Five query heads, or eight, share a kv head, more than the kernel takes at once.
    const test::tiny_llama model{.vocabulary = 97,
                                 .width = blocks ? 256u : 64u,
                                 .layers = 1,
                                 .heads = blocks ? 16u : 10u,
                                 .kv_heads = 2,
                                 .head_width = 32,
                                 .hidden = blocks ? 256u : 160u,
                                 .tied_head = false,
                                 .embedding_type = type,
                                 .attention_type = type,
                                 .ffn_type = type};
    const auto weights = load(model);
    auto requests = make_requests(model.vocabulary);
    requests.resize(6);
    for (auto path : host::supported_simd_paths()) {
      const auto executor = make_executor(weights, pool, path);
      test::executor_driver driver{*executor};
      const auto singles = answer_singly(driver, requests, whole);
      CHECK((answer_in_batches(driver, requests, 4) == singles));
    }
  }
  const test::tiny_llama narrow{.width = 48,
                                .heads = 6,
                                .kv_heads = 3,
                                .head_width = 6,
                                .hidden = 44,
                                .embedding_type = tensor_type::f32,
                                .attention_type = tensor_type::f32,
                                .ffn_type = tensor_type::f32};
  const auto weights = load(narrow);
  auto requests = make_requests(narrow.vocabulary);
  requests.resize(6);
  const auto executor = make_executor(weights, pool, host::supported_simd_paths().back());
  test::executor_driver driver{*executor};
  CHECK((answer_in_batches(driver, requests, 4) == answer_singly(driver, requests, whole)));
}
