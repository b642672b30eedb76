// SPDX-License-Identifier: Apache-2.0
// Whole clusters under virtual time. TROUPE_SEED=N runs one seed, printing its plan and its nodes' log;
// TROUPE_SEEDS=A-B a range.
#include <doctest/doctest.h>

#include <cstdlib>
#include <iostream>
#include <optional>

#include "actors/log/log.hpp"
#include "tests/simulation/simulated_cluster.hpp"

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

struct seed_range {
  std::uint64_t first = 1;
  std::uint64_t last = 200;
};

seed_range seeds_to_run() {
  seed_range result;
  if (const char* one = std::getenv("TROUPE_SEED"))
    result.first = result.last = std::strtoull(one, nullptr, 10);
  if (const char* range = std::getenv("TROUPE_SEEDS")) {
    char* end = nullptr;
    result.first = std::strtoull(range, &end, 10);
    result.last = *end == '-' ? std::strtoull(end + 1, nullptr, 10) : result.first;
  }
  return result;
}

planned_request make_planned(std::uint64_t id, milliseconds when, std::uint32_t prompt, std::uint32_t output) {
  planned_request result;
  result.when = when;
  result.request.id = request_id{id};
  result.request.model = "mock";
  for (std::uint32_t k = 0; k < prompt; ++k)
    result.request.prompt.push_back(static_cast<token_id>((k * 7 + id) % 500));
  result.request.output_tokens_max = output;
  result.request.sampling.temperature = 0;
  result.request.time_left = 300s;
  result.request.queue_time_left = 60s;
  return result;
}

/// The nodes' log says too much about many seeds.
std::optional<log_session> quiet() { return std::optional<log_session>{std::in_place, log_config{log_level::off}}; }

} // namespace

TEST_CASE("whatever fails, requests end once, with the right text, and nothing is left behind") {
  auto [first, last] = seeds_to_run();
  auto silence = first == last ? std::nullopt : quiet();
  std::map<std::string, std::uint32_t> failures;
  std::size_t finished = 0;
  std::size_t struck = 0;
  for (auto seed = first; seed <= last; ++seed) {
    auto plan = draw_plan(seed);
    if (first == last)
      std::cout << to_string(plan);
    simulated_cluster cluster{plan};
    cluster.run();
    auto violations = cluster.violations();
    for (auto& v : violations)
      std::cout << "seed " << seed << ": " << v << '\n';
    if (!violations.empty())
      std::cout << to_string(plan);
    CHECK(violations.empty());
    for (auto& [id, code] : cluster.failures())
      ++failures[to_string(code)];
    if (first == last)
      std::cout << "course " << cluster.course() << '\n';
    finished += cluster.seen().ends.size();
    struck += plan.faults.size();
  }
  std::cout << "seeds " << first << " to " << last << ": " << finished << " requests ended, " << struck
            << " faults; error events:";
  for (auto& [why, count] : failures)
    std::cout << ' ' << why << ' ' << count;
  std::cout << '\n';
}

TEST_CASE("a seed replays exactly") {
  auto silence = quiet();
  for (std::uint64_t seed : {3u, 17u, 64u}) {
    simulated_cluster once{draw_plan(seed)};
    once.run();
    simulated_cluster again{draw_plan(seed)};
    again.run();
    CHECK(once.course() == again.course());
    simulated_cluster other{draw_plan(seed + 1)};
    other.run();
    CHECK(once.course() != other.course());
  }
}

TEST_CASE(
  "a prefill worker that hangs for long beside a decode worker writes into no block of another when it goes on") {
  auto silence = quiet();
  for (int at = 3000; at < 3060; at += 12) {
    simulation_plan plan;
    plan.seed = 7;
    plan.nodes.push_back({.name = "front", .host = 1, .frontend = true});
    plan.nodes.push_back({.name = "both",
                          .host = 2,
                          .prefill_workers = 1,
                          .decode_workers = 1,
                          .blocks = 40,
                          .slowness = 3,
                          .seeds = {1}});
    plan.requests.push_back(make_planned(1, 3000ms, 150, 20));
    for (int i = 0; i < 30; ++i) // they want the blocks of the first one's landing
      plan.requests.push_back(make_planned(2 + i, milliseconds{at} + 38'500ms + i * 60ms, 120, 40));
    plan.faults.push_back({planned_fault::kind::hang, milliseconds{at}, 40s, 1, 0, 0});
    simulated_cluster cluster{plan};
    cluster.run();
    CAPTURE(at);
    CHECK(cluster.violations() == std::vector<std::string>{});
  }
}

TEST_CASE("fences that do not wait for a stopped writer are noticed") {
  auto silence = quiet();
  std::uint32_t noticed = 0;
  std::uint64_t late = 0;
  // One seed of about 130 shows it: a copy has to be late, and to hit a block that another request has by then.
  for (std::uint64_t seed = 1; seed <= 1'500 && noticed == 0; ++seed) {
    simulated_cluster cluster{draw_plan(seed)};
    cluster.fabric().fences_lie = true;
    cluster.run();
    late += cluster.fabric().late_landings();
    noticed += cluster.violations().empty() ? 0 : 1;
  }
  MESSAGE("copies that landed after their permission had been withdrawn: " << late);
  CHECK(noticed == 1);
}
