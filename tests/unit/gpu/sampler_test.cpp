// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "gpu/sampling/generator.hpp"
#include "gpu/sampling/sampler.hpp"
#include "tests/support/sampling_goldens.hpp"

using namespace troupe;
using namespace troupe::gpu;

namespace {

token_counts counts_of(const test::sampling_row& row) {
  token_counts counts;
  for (auto token : row.prompt)
    counts.add_prompt(token);
  for (auto token : row.output)
    counts.add_output(token);
  return counts;
}

struct summary {
  std::vector<token_id> kept;
  double most = 0, least = 0, middle = 0, moment = 0;
};

summary summarise(const sampler::distribution& d) {
  std::vector<candidate> kept{d.kept.begin(), d.kept.end()};
  std::ranges::sort(kept, {}, &candidate::token);
  summary s{.least = 1};
  for (const auto& c : kept) {
    const double p = c.weight / d.total;
    s.kept.push_back(c.token);
    s.most = std::max(s.most, p);
    s.least = std::min(s.least, p);
    s.moment += p * (c.token + 1) / test::sampling_goldens::vocabulary;
  }
  s.middle = kept[kept.size() / 2].weight / d.total;
  return s;
}

/// Both are probabilities: small ones too must be right in their leading digits.
bool is_close(double mine, double theirs) { return std::abs(mine - theirs) <= 2e-5 * theirs + 1e-12; }

/// Pearson's statistic of 100,000 draws at positions 0, 1, 2 … against the distribution they are from.
double chi_squared(const std::vector<float>& logits, const sampling_options& options, const token_counts& counts,
                   std::size_t& degrees) {
  constexpr std::uint32_t draws = 100'000;
  sampler s;
  const auto d = s.distribute(logits, options, counts);
  std::vector<double> expected_draws(logits.size());
  for (const auto& c : d.kept)
    expected_draws[c.token] = draws * c.weight / d.total;
  std::vector<double> seen(logits.size());
  for (std::uint32_t i = 0; i < draws; ++i)
    ++seen[s.sample(logits, options, counts, i).token];
  double sum = 0;
  degrees = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (expected_draws[i] == 0) {
      CHECK(seen[i] == 0);
      continue;
    }
    sum += (seen[i] - expected_draws[i]) * (seen[i] - expected_draws[i]) / expected_draws[i];
    ++degrees;
  }
  --degrees;
  return sum;
}

} // namespace

TEST_CASE("kept sets and probabilities are numpy's on 1,000 rows of each option") {
  const auto goldens = test::sampling_goldens::load(TROUPE_SOURCE_DIR "/tests/goldens/sampling/rows.bin");
  REQUIRE(goldens);
  sampler s;
  for (std::uint32_t option = 0; option < std::size(test::sampling_goldens::names); ++option) {
    std::uint32_t wrong = 0;
    for (std::uint32_t i = 0; i < test::sampling_goldens::rows; ++i) {
      const auto row = goldens->row(option, i);
      const auto mine = summarise(s.distribute(row.logits, row.options, counts_of(row)));
      wrong += mine.kept.size() != row.kept || test::kept_hash(mine.kept) != row.hash || !is_close(mine.most, row.most)
               || !is_close(mine.least, row.least) || !is_close(mine.middle, row.middle)
               || !is_close(mine.moment, row.moment);
    }
    CAPTURE(test::sampling_goldens::names[option]);
    CHECK(wrong == 0);
  }
}

TEST_CASE("100,000 draws are distributed as their probabilities") {
  std::vector<float> logits(40);
  for (std::size_t i = 0; i < logits.size(); ++i)
    logits[i] = static_cast<float>(i * i % 17) * 0.2f;
  sampling_options options;
  options.seed = 20'240'726;
  token_counts counts;
  SUBCASE("whole vocabulary") {}
  SUBCASE("top_p") { options.top_p = 0.8f; }
  SUBCASE("top_k") { options.top_k = 9; }
  SUBCASE("another choice") { options.choice = 1; }
  SUBCASE("min_p at another temperature") {
    options.temperature = 1.5f;
    options.min_p = 0.2f;
  }
  SUBCASE("bias and penalties") {
    options.logit_bias = {{3, 2.0f}, {5, -1.0f}};
    options.repetition_penalty = 1.3f;
    options.frequency_penalty = 0.5f;
    options.presence_penalty = -0.25f;
    for (token_id token = 0; token < 20; ++token)
      token % 3 == 0 ? counts.add_output(token % 9) : counts.add_prompt(token);
  }
  std::size_t degrees = 0;
  const double statistic = chi_squared(logits, options, counts, degrees);
  // Mean k, variance 2k; the seed is fixed, so four deviations are a bound and not a bet.
  const auto k = static_cast<double>(degrees);
  CHECK(statistic < k + 4 * std::sqrt(2 * k));
  // Nor nearer than chance allows: draws that only go round would be.
  CHECK(statistic > k - 3 * std::sqrt(2 * k));
  CHECK(statistic > 0);
}

TEST_CASE("a draw depends on seed, choice and position alone") {
  std::vector<float> logits(64);
  std::iota(logits.begin(), logits.end(), 0.0f);
  sampling_options options;
  options.temperature = 20;
  options.seed = 7;
  const auto draw = [&](const sampling_options& o) {
    sampler s;
    std::vector<token_id> tokens;
    for (std::uint32_t i = 0; i < 50; ++i)
      tokens.push_back(s.sample(logits, o, {}, i).token);
    return tokens;
  };
  const auto first = draw(options);
  CHECK(draw(options) == first);
  // Whatever was drawn before: a position has its token in any order.
  sampler backwards;
  for (std::uint32_t i = 50; i-- > 0;)
    CHECK(backwards.sample(logits, options, {}, i).token == first[i]);
  CHECK(std::set<token_id>(first.begin(), first.end()).size() > 10);
  auto other = options;
  other.seed = 8;
  CHECK(draw(other) != first);
  other = options;
  other.choice = 1;
  CHECK(draw(other) != first);
}

TEST_CASE("a seeded run with penalties repeats, token by token") {
  std::vector<float> logits(64);
  for (std::size_t i = 0; i < logits.size(); ++i)
    logits[i] = static_cast<float>(i * i % 29) * 0.1f;
  sampling_options options;
  options.top_p = 0.9f;
  options.repetition_penalty = 1.2f;
  options.frequency_penalty = 0.3f;
  const auto generate = [&](std::uint64_t seed) {
    options.seed = seed;
    sampler s;
    token_counts counts;
    std::vector<token_id> tokens;
    for (std::uint32_t i = 0; i < 200; ++i) {
      tokens.push_back(s.sample(logits, options, counts, 7 + i).token);
      counts.add_output(tokens.back());
    }
    return tokens;
  };
  CHECK(generate(5) == generate(5));
  CHECK(generate(5) != generate(6));
}

// By an independent implementation: another release, or another node of a cluster, must draw the same.
TEST_CASE("the generator's numbers are fixed") {
  CHECK(uniform_at(0, 0, 0) == 0x1.4e0dba5e9a32fp-1);
  CHECK(uniform_at(7, 0, 3) == 0x1.aea9e1a06a67ep-2);
  CHECK(uniform_at(7, 1, 3) == 0x1.986a2ddac8131p-1);
  CHECK(uniform_at(~0ull, 5, 1499) == 0x1.58a6ac9e9f408p-1);
}

TEST_CASE("the generator is uniform over keys that differ in one number") {
  double seeds = 0, choices = 0, positions = 0;
  constexpr std::uint32_t n = 10'000;
  for (std::uint32_t i = 0; i < n; ++i) {
    seeds += uniform_at(i, 0, 0);
    choices += uniform_at(1, i, 0);
    positions += uniform_at(1, 0, i);
  }
  for (double sum : {seeds, choices, positions})
    CHECK(sum / n == doctest::Approx(0.5).epsilon(0.03));
}

TEST_CASE("greedy takes the lower id of a tie and heeds bias and penalties") {
  sampler s;
  const std::vector<float> logits{1, 5, 2, 5, 4.5f};
  sampling_options options;
  options.temperature = 0;
  CHECK(s.sample(logits, options, {}, 0).token == 1);
  options.logit_bias = {{4, 1.0f}};
  CHECK(s.sample(logits, options, {}, 0).token == 4);
  options.logit_bias.clear();
  options.presence_penalty = 1;
  token_counts counts;
  counts.add_prompt(3); // presence looks at the output alone
  counts.add_output(1);
  CHECK(s.sample(logits, options, counts, 0).token == 3);
}

TEST_CASE("log-probabilities are those of the raw logits, most probable first") {
  sampler s;
  const std::vector<float> logits{0, 1, 2, 3, 2};
  sampling_options options;
  options.temperature = 0;
  options.logit_bias = {{0, 100.0f}};
  options.logprobs = true;
  options.top_logprobs = 3;
  const auto result = s.sample(logits, options, {}, 0);
  double sum = 0;
  for (float x : logits)
    sum += std::exp(static_cast<double>(x));
  CHECK(result.token == 0);
  CHECK(result.logprob == doctest::Approx(-std::log(sum)));
  REQUIRE(result.top.size() == 3);
  CHECK(result.top[0].token == 3);
  CHECK(result.top[1].token == 2);
  CHECK(result.top[2].token == 4);
  CHECK(result.top[0].logprob == doctest::Approx(3 - std::log(sum)));
}

TEST_CASE("a large vocabulary with a flat distribution keeps what top_p says") {
  // Flat enough that the first heads that the cut tries do not hold the mass.
  std::vector<float> logits(49'152);
  for (std::size_t i = 0; i < logits.size(); ++i)
    logits[i] = -static_cast<float>(i) * 1e-3f;
  sampling_options options;
  options.top_p = 0.5f;
  sampler s;
  const auto d = s.distribute(logits, options, {});
  // 1 − e^(−n/1000) ≥ p / 2, of a sum that is all but 1.
  CHECK(d.kept.size() == doctest::Approx(693).epsilon(0.01));
  for (std::size_t i = 0; i < d.kept.size(); ++i)
    CHECK(d.kept[i].token == i);
}

TEST_CASE("options out of range are not valid") {
  CHECK(is_valid({}, 10));
  const auto with = [](auto change) {
    sampling_options o;
    change(o);
    return is_valid(o, 10);
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_FALSE(with([](auto& o) { o.temperature = -1; }));
  CHECK_FALSE(with([&](auto& o) { o.temperature = nan; }));
  CHECK_FALSE(with([](auto& o) { o.top_p = 1.5f; }));
  CHECK_FALSE(with([&](auto& o) { o.min_p = nan; }));
  CHECK_FALSE(with([](auto& o) { o.repetition_penalty = 0; }));
  CHECK_FALSE(with([](auto& o) { o.presence_penalty = std::numeric_limits<float>::infinity(); }));
  CHECK_FALSE(with([](auto& o) { o.logit_bias = {{10, 1.0f}}; }));
  CHECK_FALSE(with([](auto& o) { o.top_logprobs = 21; }));
}

TEST_CASE("logits that are no numbers give some token and end") {
  const std::vector<float> logits(8, std::numeric_limits<float>::quiet_NaN());
  sampling_options options;
  for (float top_p : {1.0f, 0.5f}) {
    options.top_p = top_p;
    CHECK(sampler{}.sample(logits, options, {}, 0).token < 8);
  }
}
