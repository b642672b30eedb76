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

/// Pearson's statistic of 100,000 draws at positions 0, 1, 2 … against the distribution they are from.
double chi_squared(const std::vector<float>& logits, const sampling_options& options, std::size_t& degrees) {
  constexpr std::uint32_t draws = 100'000;
  sampler s;
  const auto d = s.distribute(logits, options, {});
  std::vector<double> expected_draws(logits.size());
  for (const auto& c : d.kept)
    expected_draws[c.token] = draws * c.weight / d.total;
  std::vector<double> seen(logits.size());
  for (std::uint32_t i = 0; i < draws; ++i)
    ++seen[s.sample(logits, options, {}, i).token];
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
  constexpr double tolerance = 1e-5;
  for (std::uint32_t option = 0; option < std::size(test::sampling_goldens::names); ++option) {
    std::uint32_t wrong = 0;
    for (std::uint32_t i = 0; i < test::sampling_goldens::rows; ++i) {
      const auto row = goldens->row(option, i);
      const auto mine = summarise(s.distribute(row.logits, row.options, counts_of(row)));
      wrong += mine.kept.size() != row.kept || test::kept_hash(mine.kept) != row.hash ||
               std::abs(mine.most - row.most) > tolerance || std::abs(mine.least - row.least) > tolerance ||
               std::abs(mine.middle - row.middle) > tolerance || std::abs(mine.moment - row.moment) > tolerance;
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
  SUBCASE("whole vocabulary") {}
  SUBCASE("top_p") { options.top_p = 0.8f; }
  SUBCASE("top_k") { options.top_k = 9; }
  SUBCASE("another choice") { options.choice = 1; }
  std::size_t degrees = 0;
  const double statistic = chi_squared(logits, options, degrees);
  // Mean k, variance 2k; the seed is fixed, so four deviations are a bound and not a bet.
  const auto k = static_cast<double>(degrees);
  CHECK(statistic < k + 4 * std::sqrt(2 * k));
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
  CHECK(std::set<token_id>(first.begin(), first.end()).size() > 10);
  auto other = options;
  other.seed = 8;
  CHECK(draw(other) != first);
  other = options;
  other.choice = 1;
  CHECK(draw(other) != first);
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
