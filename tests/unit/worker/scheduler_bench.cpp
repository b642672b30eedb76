// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstdio>

#include <doctest/doctest.h>

#include "tests/unit/worker/worker_double.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

using clock_type = std::chrono::steady_clock;

/// Results as the toy model would give them, without computing anything.
gpu::step_result instant(const gpu::step& step) {
  gpu::step_result result;
  result.id = step.id;
  for (const auto& r : step.rows)
    result.rows.push_back(
      {r.want == gpu::row_want::sample ? std::optional{sampled_token{r.position % 89, 0, {}}} : std::nullopt, 0});
  return result;
}

double median_us(std::vector<double>& all) {
  std::ranges::sort(all);
  return all.empty() ? 0 : all[all.size() / 2];
}

/// Prints; asserts no time, which a busy machine would break.
void measure(std::uint32_t prompt_tokens) {
  scheduler_config c;
  c.blocks = 20'000;
  c.context_tokens = 8192;
  scheduler tested{c};
  const steady_time now{};
  for (std::uint64_t id = 1; id <= 64; ++id)
    REQUIRE(tested.add(a_request(id, some_tokens(prompt_tokens, id), 600), now));
  std::vector<double> plans, completions;
  scheduler_events events;
  for (int i = 0; i < patience; ++i) {
    const auto begin = clock_type::now();
    const auto planned = tested.next_step(now, events);
    const auto planned_at = clock_type::now();
    if (!planned)
      break;
    const auto result = instant(planned->step);
    const auto completed_from = clock_type::now();
    tested.complete(result, events);
    const auto end = clock_type::now();
    if (planned->step.rows.size() == 64 && planned->step.computed_tokens() == 64) {
      plans.push_back(std::chrono::duration<double, std::micro>(planned_at - begin).count());
      completions.push_back(std::chrono::duration<double, std::micro>(end - completed_from).count());
    }
    events = {};
  }
  CHECK(tested.idle());
  std::printf("64 decodes, prompts of %u tokens: plan %.1f us, complete %.1f us (medians of %zu steps)\n",
              prompt_tokens, median_us(plans), median_us(completions), plans.size());
}

} // namespace

TEST_CASE("planning a step of 64 decodes is timed") {
  measure(100);
  measure(1000);
  measure(4000);
}
