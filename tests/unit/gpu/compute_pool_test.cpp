// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <numeric>
#include <thread>
#include <vector>

#include "gpu/host/compute_pool.hpp"
#include "gpu/host/cpu_count.hpp"

using namespace troupe::gpu::host;

TEST_CASE("parallel_for calls every index once, in ranges cut at the grain") {
  for (std::uint32_t threads : {1u, 2u, 3u, 5u}) {
    auto pool = compute_pool::make(threads);
    REQUIRE(pool);
    CHECK((*pool)->threads() == threads);
    for (std::uint32_t count : {0u, 1u, 4u, 7u, 64u, 1000u})
      for (std::uint32_t grain : {1u, 4u, 100u}) {
        std::vector<int> calls(count);
        std::vector<int> cuts(threads);
        (*pool)->run([&] {
          (*pool)->parallel_for(count, grain, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t thread) {
            cuts.at(thread) += begin % grain != 0;
            for (auto i = begin; i < end; ++i)
              ++calls[i];
          });
        });
        CHECK(std::ranges::all_of(calls, [](int n) { return n == 1; }));
        CHECK(std::accumulate(cuts.begin(), cuts.end(), 0) == 0);
      }
  }
}

TEST_CASE("many short parts follow each other without loss") {
  auto pool = compute_pool::make(2);
  REQUIRE(pool);
  std::vector<std::uint64_t> sums(2);
  (*pool)->run([&] {
    for (int i = 0; i < 5000; ++i)
      (*pool)->parallel_for(2, 1, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t) {
        for (auto k = begin; k < end; ++k)
          ++sums[k];
      });
  });
  CHECK(sums == std::vector<std::uint64_t>{5000, 5000});
}

namespace {

std::atomic<bool> held = false, release = false;

void hold(int) {
  held = true;
  while (!release)
    ;
}

} // namespace

TEST_CASE("a part does not wait for a worker that does not get to run") {
  auto pool = compute_pool::make(2);
  REQUIRE(pool);
  std::atomic<pthread_t> worker = 0;
  // The dispatcher holds its range until the worker has come for the other.
  (*pool)->run([&] {
    (*pool)->parallel_for(2, 1, [&](std::uint32_t, std::uint32_t, std::uint32_t thread) {
      if (thread == 1)
        worker = pthread_self();
      while (worker == 0)
        std::this_thread::yield();
    });
  });
  std::signal(SIGUSR1, hold);
  pthread_kill(worker, SIGUSR1);
  while (!held)
    std::this_thread::yield();
  std::vector<int> calls(64);
  (*pool)->run([&] {
    (*pool)->parallel_for(64, 1, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t) {
      for (auto i = begin; i < end; ++i)
        ++calls[i];
    });
  });
  CHECK(std::ranges::all_of(calls, [](int n) { return n == 1; }));
  release = true;
  std::signal(SIGUSR1, SIG_DFL);
}

TEST_CASE("jobs run in the order in which they were posted, the last ones before the pool ends") {
  std::vector<int> order;
  {
    auto pool = compute_pool::make(1);
    REQUIRE(pool);
    for (int i = 0; i < 100; ++i)
      (*pool)->post([&order, i] { order.push_back(i); });
  }
  std::vector<int> expected_order(100);
  std::iota(expected_order.begin(), expected_order.end(), 0);
  CHECK(order == expected_order);
}

TEST_CASE("the default size is what this process may use") {
  auto pool = compute_pool::make();
  REQUIRE(pool);
  CHECK((*pool)->threads() == usable_cpus());
  CHECK(usable_cpus() >= 1);
  const auto refused = compute_pool::make(100'000);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().context.find("more than") != std::string::npos);
}
