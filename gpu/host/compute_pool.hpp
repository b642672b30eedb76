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
  /// returns when all have ended. Each thread has a share, of which it takes the next range when it is done with one,
  /// in order, so that what it fetches ahead is its own; a thread that is done takes from the others' shares, since
  /// cores are seldom equally fast. So results must not depend on how the ranges are cut. REQUIRES: called by a job.
  template <class Function>
  void parallel_for(std::uint32_t count, std::uint32_t grain, Function&& f) {
    if (count == 0)
      return;
    if (count <= grain || workers_.empty())
      return f(0u, count, 0u);
    using callable = std::remove_reference_t<Function>;
    run_part(part{count, grain, 0,
                  [](void* context, std::uint32_t begin, std::uint32_t end, std::uint32_t thread) {
                    (*static_cast<callable*>(context))(begin, end, thread);
                  },
                  const_cast<std::remove_const_t<callable>*>(&f)});
  }

private:
  struct part {
    std::uint32_t count = 0;
    std::uint32_t grain = 1;
    std::uint32_t round = 0;
    void (*call)(void*, std::uint32_t begin, std::uint32_t end, std::uint32_t thread) = nullptr;
    void* context = nullptr;

    /// Of a grain, or the rest.
    std::uint32_t pieces() const { return (count + grain - 1) / grain; }
  };

  struct range {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };

  /// How far a thread's share of a part is taken, by itself and by others: the part's round above, the first item that
  /// is not taken below. Of another round: nothing is taken yet. So nobody has to write to all of them before a part.
  struct alignas(64) share_state {
    std::atomic<std::uint64_t> taken = 0;
  };

  compute_pool() = default;
  void dispatch();
  void work(std::uint32_t thread);
  bool join_part();
  void run_part(part);
  void run_shares(const part&, std::uint32_t thread);
  range share_of(const part&, std::uint32_t thread) const;
  range take(const part&, std::uint32_t owner, range share);

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
  /// Shares of the current part of which something is not taken: nobody searches them when there is none.
  alignas(64) std::atomic<std::uint32_t> shares_left_ = 0;
  /// By thread.
  alignas(64) std::vector<share_state> shares_;

  std::vector<std::thread> workers_;
  std::thread dispatcher_;
};

} // namespace troupe::gpu::host
