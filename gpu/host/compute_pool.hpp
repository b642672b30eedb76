// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "gpu/errc.hpp"

namespace troupe::gpu::host {

/// The one compute pool of a process. A dispatcher thread runs jobs in the order in which they were
/// posted, so that executors that share the pool never compete for cores; inside a job, parallel_for
/// splits work over the dispatcher and the workers.
///
/// Workers spin for a while between two parts of a job (a layer has five), then sleep. A part does not wait for a
/// worker that has not begun with it: where other processes use the cores as well, it may not get to run in time.
class compute_pool {
public:
  /// `threads` in all, the dispatcher included; 0 takes usable_cpus(). errc::resource if the system
  /// refuses a thread.
  static expected<std::shared_ptr<compute_pool>, error> make(std::uint32_t threads = 0);

  compute_pool(const compute_pool&) = delete;
  compute_pool& operator=(const compute_pool&) = delete;
  /// Runs the jobs that are still queued, then ends the threads. REQUIRES: not called by a job.
  ~compute_pool();

  std::uint32_t threads() const { return static_cast<std::uint32_t>(workers_.size()) + 1; }

  /// Queues a job, which must not throw. The caller bounds how many it posts.
  void post(std::function<void()> job);

  /// Posts a job and waits for its end. REQUIRES: not called by a job.
  void run(const std::function<void()>& job);

  /// Splits [0, count) into contiguous ranges, cut at multiples of `grain`, and calls f(begin, end, thread) for each;
  /// returns when all have ended. A thread takes the next range when it is done with one, since cores are seldom
  /// equally fast: so results must not depend on how the ranges are cut. REQUIRES: called by a job.
  template <class Function>
  void parallel_for(std::uint32_t count, std::uint32_t grain, Function&& f) {
    if (count == 0)
      return;
    if (count <= grain || workers_.empty())
      return f(0u, count, 0u);
    using callable = std::remove_reference_t<Function>;
    run_part(part{count, range_of(count, grain),
                  [](void* context, std::uint32_t begin, std::uint32_t end, std::uint32_t thread) {
                    (*static_cast<callable*>(context))(begin, end, thread);
                  },
                  const_cast<std::remove_const_t<callable>*>(&f)});
  }

private:
  struct part {
    std::uint32_t count = 0;
    /// Items of one range, a multiple of the grain.
    std::uint32_t range = 1;
    void (*call)(void*, std::uint32_t begin, std::uint32_t end, std::uint32_t thread) = nullptr;
    void* context = nullptr;
  };

  compute_pool() = default;
  void dispatch();
  void work(std::uint32_t thread);
  std::uint32_t range_of(std::uint32_t count, std::uint32_t grain) const;
  bool join_part();
  void run_part(const part&);
  void run_share(const part&, std::uint32_t thread);

  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::function<void()>> jobs_;
  bool ending_ = false;

  /// The current part; written while nobody is in it.
  part part_;
  /// Advances with each part.
  alignas(64) std::atomic<std::uint32_t> round_ = 0;
  /// How many workers are in the part, and (open_part) whether others may join them.
  static constexpr std::uint32_t open_part = 1u << 31;
  alignas(64) std::atomic<std::uint32_t> members_ = 0;
  std::atomic<bool> stopping_ = false;
  /// The first item of the current part that no thread has taken.
  alignas(64) std::atomic<std::uint64_t> next_ = 0;

  std::vector<std::thread> workers_;
  std::thread dispatcher_;
};

} // namespace troupe::gpu::host
