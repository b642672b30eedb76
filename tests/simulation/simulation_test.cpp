// SPDX-License-Identifier: Apache-2.0
// Whole clusters under virtual time. TROUPE_SEED=N replays one seed and prints its course; TROUPE_SEEDS=A-B runs a range.
#include <doctest/doctest.h>

#include <cstdlib>
#include <iostream>

#include "tests/simulation/simulated_cluster.hpp"

using namespace troupe;
using namespace troupe::test;

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

/// What is wrong with the course of a plan: of its history, and requests that failed although somebody could serve them.
std::vector<std::string> faults_of(const simulated_cluster& cluster, const simulation_plan& plan) {
  auto faults = check_history(cluster.seen());
  if (plan.has_refuge)
    for (auto& [name, ends] : cluster.seen().ends)
      if (!ends.front().failure.empty() && !cluster.seen().excuses.contains(name))
        faults.push_back("request " + name + " failed although a decode worker was there: " + ends.front().failure);
  return faults;
}

} // namespace

TEST_CASE("whatever fails, requests end once, with the right text, and nothing is left behind") {
  auto [first, last] = seeds_to_run();
  std::map<std::string, std::uint32_t> failures;
  std::uint32_t finished = 0;
  std::uint32_t faults_planned = 0;
  for (auto seed = first; seed <= last; ++seed) {
    auto plan = draw_plan(seed);
    faults_planned += static_cast<std::uint32_t>(plan.faults.size());
    if (first == last)
      std::cout << to_string(plan);
    simulated_cluster cluster{plan};
    cluster.run();
    auto faults = faults_of(cluster, plan);
    for (auto& f : faults)
      std::cout << "seed " << seed << ": " << f << '\n';
    if (!faults.empty())
      std::cout << to_string(plan);
    CHECK(faults.empty());
    for (auto& [why, count] : cluster.failures())
      failures[why] += count;
    finished += static_cast<std::uint32_t>(cluster.seen().ends.size());
  }
  std::cout << "seeds " << first << " to " << last << ": " << finished << " requests ended, " << faults_planned
            << " faults; error events:";
  for (auto& [why, count] : failures)
    std::cout << ' ' << why << ' ' << count;
  std::cout << '\n';
}

TEST_CASE("a fence that does not wait for a stopped writer is found")  {
  std::uint64_t late = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    simulated_cluster cluster{draw_plan(seed)};
    cluster.fabric().fences_lie = true;
    cluster.run();
    late += cluster.fabric().late_landings;
    if (auto faults = check_history(cluster.seen()); !faults.empty()) {
      MESSAGE("seed " << seed << ": " << faults.front());
    }
  }
  MESSAGE("late " << late);
}

TEST_CASE("a seed replays exactly") {
  for (std::uint64_t seed : {3u, 17u, 64u}) {
    simulated_cluster once{draw_plan(seed)};
    once.run();
    simulated_cluster again{draw_plan(seed)};
    again.run();
    CHECK(once.course() == again.course());
  }
}
