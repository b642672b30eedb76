// SPDX-License-Identifier: Apache-2.0
#include "tests/scenario/bit_equality.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "gpu/host/host_executor.hpp"
#include "gpu/model/gguf.hpp"
#include "tests/support/host_node.hpp"
#include "tests/support/load_weights.hpp"
#include "tests/support/splitmix64.hpp"

namespace troupe::test {

namespace {

/// Around the ends of blocks and chunks, and far from them.
constexpr std::uint32_t prompt_lengths[] = {5,  7,  9,  11,  15,  16,  17,  31,  32,  33,
                                            48, 64, 65, 100, 127, 208, 256, 400, 700, 1500};
constexpr std::uint32_t few_prompt_lengths[] = {5, 16, 17, 32, 48, 64, 100, 127, 256, 700};
constexpr std::uint32_t block_tokens = 16;
/// Enough that every sequence needs another block while it decodes.
constexpr std::uint32_t output_tokens = 18;

using requests = std::vector<inference_request>;

/// Seeds are unique, also where nothing is drawn: they name the request in a logit_record.
requests make_requests(std::uint32_t vocabulary, std::span<const std::uint32_t> lengths) {
  splitmix64 random{20};
  requests result;
  for (auto length : lengths) {
    auto& r = result.emplace_back();
    for (std::uint32_t t = 0; t < length; ++t)
      r.prompt.push_back(random.below(vocabulary));
    r.output_tokens_max = output_tokens;
    auto& s = r.sampling;
    s.seed = 1000 + result.size();
    s.temperature = 0;
    if (result.size() % 2 == 0)
      continue;
    s.temperature = 1.5f;
    s.top_p = 0.95f;
    s.min_p = 0.001f;
    s.frequency_penalty = 0.5f;
    s.presence_penalty = 0.25f;
    s.repetition_penalty = 1.1f;
  }
  return result;
}

/// The same prompts but for the last token of the last block that another prompt may share.
requests make_twins(requests r) {
  for (auto& x : r)
    if (const auto shared = (x.prompt.size() - 1) / block_tokens * block_tokens; shared > 0)
      x.prompt[shared - 1] ^= 1;
  return r;
}

/// Tokens of a prompt that a cache which has seen it gives back: whole blocks, and one token is left to compute.
std::uint32_t cacheable(const inference_request& r) {
  return static_cast<std::uint32_t>(r.prompt.size() - 1) / block_tokens * block_tokens;
}

std::int64_t prompt_tokens(const requests& all) {
  std::int64_t sum = 0;
  for (const auto& r : all)
    sum += static_cast<std::int64_t>(r.prompt.size());
  return sum;
}

/// Compares runs with the undisturbed one: aggregated, one at a time, in whole prompts, on two threads.
class comparison {
public:
  comparison(host_node::options undisturbed, requests all)
    : options_(std::move(undisturbed)), requests_(std::move(all)) {}

  const requests& all() const { return requests_; }
  const host_node::options& options() const { return options_; }

  /// On a node that has seen nothing.
  void set_baseline(host_node::outcome run) {
    baseline_ = std::move(run);
    CHECK(baseline_.logits.contradictions == 0);
    // What every comparison rests on: no row is missing, and hashes tell rows apart.
    std::set<std::uint64_t> distinct;
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      CAPTURE(i);
      REQUIRE(baseline_.answers[i].finish == finish_reason::length);
      CHECK(baseline_.answers[i].tokens.size() == output_tokens);
      CHECK(baseline_.answers[i].usage.cached_tokens == 0);
      const auto& log = baseline_.logits.sequences.at(requests_[i].sampling.seed);
      CHECK(log.prompt == requests_[i].prompt);
      REQUIRE(log.hashes.size() == output_tokens);
      CHECK(log.hashes.begin()->first == requests_[i].prompt.size() - 1);
      CHECK(log.hashes.rbegin()->first == requests_[i].prompt.size() + output_tokens - 2);
      for (auto& [position, hash] : log.hashes)
        distinct.insert(hash);
    }
    CHECK(distinct.size() == requests_.size() * output_tokens);
  }

  void check_equal(const host_node::outcome& run) const {
    std::vector<std::size_t> order(requests_.size());
    std::iota(order.begin(), order.end(), 0u);
    check_equal(run, order);
  }

  /// `run` answered the requests with these indices.
  void check_equal(const host_node::outcome& run, const std::vector<std::size_t>& order) const {
    REQUIRE(run.answers.size() == order.size());
    CHECK(run.logits.contradictions == 0);
    CHECK(run.logits.sequences.size() == run.answers.size());
    for (std::size_t i = 0; i < run.answers.size(); ++i) {
      const auto& request = requests_[order[i]];
      INFO("prompt of ", request.prompt.size(), " tokens");
      CHECK(run.answers[i].finish == finish_reason::length);
      CHECK(run.answers[i].tokens == baseline_.answers[order[i]].tokens);
      const auto log = run.logits.sequences.find(request.sampling.seed);
      REQUIRE(log != run.logits.sequences.end());
      CHECK(log->second.prompt == request.prompt);
      // Position by position, so that the first one that differs is named.
      for (const auto& [position, hash] : baseline_.logits.sequences.at(request.sampling.seed).hashes) {
        const auto mine = log->second.hashes.find(position);
        const bool equal = mine != log->second.hashes.end() && mine->second == hash;
        CHECK_MESSAGE(equal, "the row of position " << position << " has other bits or is missing");
        if (!equal)
          break;
      }
      CHECK(log->second.hashes.size() == output_tokens);
    }
  }

private:
  host_node::options options_;
  requests requests_;
  host_node::outcome baseline_;
};

/// Prints how long a way took.
class stopwatch {
public:
  explicit stopwatch(std::string what) : what_(std::move(what)) {}
  ~stopwatch() {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin_;
    MESSAGE(what_ << ": " << passed.count() << " s");
  }

private:
  std::string what_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// The second time every whole block of a prompt is found.
void check_cached(const comparison& c, const host_node::outcome& run) {
  for (std::size_t i = 0; i < c.all().size(); ++i)
    CHECK(run.answers[i].usage.cached_tokens == cacheable(c.all()[i]));
  c.check_equal(run);
}

void compare_baseline_and_cache(comparison& c, std::uint32_t cached_group) {
  stopwatch time{"undisturbed, then from the prefix cache, " + std::to_string(cached_group) + " at a time"};
  host_node node{c.options()};
  c.set_baseline(node.run(c.all(), 1));
  CHECK(node.metric("prompt-tokens-cached", "decode") == 0);
  const auto computed = node.metric("prompt-tokens-computed", "decode");
  std::int64_t cached = 0;
  for (const auto& r : c.all())
    cached += cacheable(r);
  check_cached(c, node.run(c.all(), cached_group));
  CHECK(node.metric("prompt-tokens-cached", "decode") == cached);
  CHECK(node.metric("prompt-tokens-computed", "decode") - computed == prompt_tokens(c.all()) - cached);
}

enum class second_time : std::uint8_t { no, yes };

void compare_disaggregated(const comparison& c, std::uint32_t group, second_time again) {
  stopwatch time{"disaggregated, " + std::to_string(group) + " at a time"};
  auto options = c.options();
  options.prefill_workers = 1;
  host_node node{options};
  const auto landings = node.metric("kv-landings-completed", "decode");
  const auto received = node.metric("kv-blocks-received", "decode");
  const auto computed = node.metric("prompt-tokens-computed", "prefill");
  const auto here = node.metric("prompt-tokens-computed", "decode");
  c.check_equal(node.run(c.all(), group));
  // Of each group those that the first token behind the prompt sees.
  std::int64_t blocks = 0;
  for (const auto& cache_group : gpu::host::kv_groups(*options.weights, block_tokens))
    for (const auto& r : c.all()) {
      const auto length = static_cast<std::uint32_t>(r.prompt.size());
      blocks += (length + block_tokens - 1) / block_tokens - cache_group.first_block(length);
    }
  CHECK(node.metric("prompt-tokens-computed", "decode") == here);
  CHECK(node.metric("prompt-tokens-computed", "prefill") - computed == prompt_tokens(c.all()));
  CHECK(node.metric("kv-landings-completed", "decode") - landings == static_cast<std::int64_t>(c.all().size()));
  CHECK(node.metric("kv-blocks-received", "decode") - received == blocks);
  CHECK(node.metric("kv-checksum-misses", "decode") == 0);
  if (again == second_time::yes) {
    check_cached(c, node.run(c.all(), group));
    CHECK(node.metric("prompt-tokens-computed", "decode") == here);
  }
}

void compare_batched(const comparison& c, std::uint32_t chunk_tokens) {
  stopwatch time{"eight at a time, chunks of " + std::to_string(chunk_tokens)};
  auto options = c.options();
  options.chunk_tokens = chunk_tokens;
  host_node node{options};
  const auto run = node.run(c.all(), 8);
  CHECK(run.logits.drawing_rows_max == 8);
  CHECK(run.logits.row_tokens_max == std::min<std::size_t>(chunk_tokens, c.all().back().prompt.size()));
  c.check_equal(run);
}

void compare_chunked(const comparison& c) {
  stopwatch time{"chunks of 64"};
  auto options = c.options();
  options.chunk_tokens = 64;
  host_node node{options};
  const auto run = node.run(c.all(), 1);
  CHECK(run.logits.row_tokens_max == 64);
  c.check_equal(run);
}

void compare_one_thread(const comparison& c, std::uint32_t group) {
  stopwatch time{"one thread, " + std::to_string(group) + " at a time"};
  auto options = c.options();
  options.threads = 1;
  host_node node{options};
  c.check_equal(node.run(c.all(), group));
}

/// Those requests at the same time on fewer blocks than they need: the last one gives its own up.
void compare_preempted(const comparison& c, const std::vector<std::size_t>& order, std::uint32_t blocks) {
  auto options = c.options();
  options.blocks = blocks;
  host_node node{options};
  requests some;
  for (auto i : order)
    some.push_back(c.all()[i]);
  INFO(some.back().prompt.size(), " tokens preempted on ", blocks, " blocks");
  const auto run = node.run(some, static_cast<std::uint32_t>(some.size()));
  CHECK(node.metric("preemptions", "decode") > 0);
  CHECK(run.logits.resumed.contains(some.back().sampling.seed));
  c.check_equal(run, order);
}

/// Behind prompts that need two more blocks each while they decode, where a start leaves one for each.
void compare_preempted(const comparison& c, std::size_t index) {
  constexpr std::size_t neighbours[] = {48, 64, 32, 16}; // tokens of their prompts
  std::vector<std::size_t> order;
  for (auto tokens : neighbours) {
    const auto neighbour = std::ranges::find(c.all(), tokens, [](const auto& r) { return r.prompt.size(); });
    if (const auto n = static_cast<std::size_t>(neighbour - c.all().begin()); n != index)
      order.push_back(n);
  }
  order.push_back(index);
  // The first one takes its next block before the last one starts.
  auto blocks = static_cast<std::uint32_t>(order.size());
  for (auto i : order)
    blocks += (static_cast<std::uint32_t>(c.all()[i].prompt.size()) + block_tokens - 1) / block_tokens;
  compare_preempted(c, order, blocks);
}

/// A prompt that differs in a block's last token may use nothing of that block.
void compare_twins(const comparison& c) {
  stopwatch time{"twins"};
  comparison twins{c.options(), make_twins(c.all())};
  {
    host_node alone{c.options()};
    twins.set_baseline(alone.run(twins.all(), 1));
  }
  host_node node{c.options()};
  c.check_equal(node.run(c.all(), 8));
  const auto run = node.run(twins.all(), 1);
  for (std::size_t i = 0; i < twins.all().size(); ++i)
    CHECK(run.answers[i].usage.cached_tokens == std::max(cacheable(c.all()[i]), block_tokens) - block_tokens);
  twins.check_equal(run);
}

} // namespace

void check_bit_equality(std::shared_ptr<const gpu::host::host_weights> weights, gpu::host::simd_path path,
                        bit_equality_extent extent) {
  INFO(gpu::host::to_string(path));
  const bool alone = extent == bit_equality_extent::each_alone;
  const auto calls = gpu::host::kernel_calls(path);
  const bool few = extent == bit_equality_extent::few_prompts;
  const auto lengths =
    few ? std::span<const std::uint32_t>{few_prompt_lengths} : std::span<const std::uint32_t>{prompt_lengths};
  comparison c{{.weights = weights, .path = path}, make_requests(weights->config().vocabulary, lengths)};
  compare_baseline_and_cache(c, alone ? 1 : 8);
  CHECK(gpu::host::kernel_calls(path) > calls);
  if (alone) {
    compare_disaggregated(c, 1, second_time::yes);
    compare_batched(c, 4096);
    compare_chunked(c);
    compare_one_thread(c, 1);
    compare_twins(c);
  }
  compare_disaggregated(c, 8, second_time::no);
  compare_batched(c, 64);
  compare_one_thread(c, 8);
  stopwatch time{"preempted"};
  for (std::size_t i = 0; i < lengths.size(); ++i)
    if (alone || lengths[i] == 256 || (lengths[i] == 100 && !few))
      compare_preempted(c, i);
}

std::shared_ptr<const gpu::host::host_weights> load_demo_model() {
  const std::filesystem::path path{TROUPE_SOURCE_DIR "/models/SmolLM2-135M-Instruct.Q4_1.gguf"};
  if (!std::filesystem::exists(path)) {
    MESSAGE("SKIPPED: no " << path.string());
    return nullptr;
  }
  auto file = gpu::gguf_file::open(path);
  REQUIRE(file);
  auto weights = test::load_weights(*file);
  REQUIRE(weights);
  return *weights;
}

} // namespace troupe::test
