// SPDX-License-Identifier: Apache-2.0
#include "gpu/host/compute_pool.hpp"

#include <algorithm>
#include <chrono>
#include <future>
#include <string>
#include <system_error>

#include "gpu/host/cpu_count.hpp"

namespace troupe::gpu::host {

namespace {

/// Far above any machine; a bound against a mistyped option.
constexpr std::uint32_t threads_max = 1024;
/// Longer than the serial part between two parallel ones and than a range of the slowest thread: to wake a sleeper
/// costs tens of microseconds, more in a virtual machine.
constexpr std::chrono::microseconds spin_time{100};
/// Looks at the clock this seldom.
constexpr int spins_per_look = 32;
/// Ranges that a thread takes of a part on average.
constexpr std::uint32_t ranges_per_thread = 4;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// Waits until `value` differs from `old`: spins, then sleeps in the kernel.
std::uint32_t wait_while(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  const auto end = std::chrono::steady_clock::now() + spin_time;
  do {
    for (int i = 0; i < spins_per_look; ++i) {
      if (const auto now = value.load(std::memory_order_acquire); now != old)
        return now;
      pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

} // namespace

expected<std::shared_ptr<compute_pool>, error> compute_pool::make(std::uint32_t threads) {
  if (threads == 0)
    threads = usable_cpus();
  if (threads > threads_max)
    return fail(errc::resource,
                std::to_string(threads) + " compute threads are more than " + std::to_string(threads_max));
  std::shared_ptr<compute_pool> pool{new compute_pool};
  try {
    pool->workers_.reserve(threads - 1);
    for (std::uint32_t i = 1; i < threads; ++i)
      pool->workers_.emplace_back([p = pool.get(), i] { p->work(i); });
    pool->dispatcher_ = std::thread{[p = pool.get()] { p->dispatch(); }};
  } catch (const std::system_error& e) {
    return fail(errc::resource, std::string{"cannot start a compute thread: "} + e.what());
  }
  return pool;
}

compute_pool::~compute_pool() {
  {
    const std::lock_guard lock{mutex_};
    ending_ = true;
  }
  posted_.notify_one();
  if (dispatcher_.joinable())
    dispatcher_.join();
  stopping_.store(true, std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (auto& worker : workers_)
    worker.join();
}

void compute_pool::post(std::function<void()> job) {
  {
    const std::lock_guard lock{mutex_};
    jobs_.push_back(std::move(job));
  }
  posted_.notify_one();
}

void compute_pool::run(const std::function<void()>& job) {
  auto done = std::make_shared<std::promise<void>>();
  auto ended = done->get_future();
  post([&job, done] {
    job();
    done->set_value();
  });
  ended.wait();
}

void compute_pool::dispatch() {
  std::unique_lock lock{mutex_};
  for (;;) {
    posted_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
    if (jobs_.empty())
      return;
    {
      auto job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
    }
    lock.lock();
  }
}

void compute_pool::work(std::uint32_t thread) {
  for (std::uint32_t round = 0;;) {
    round = wait_while(round_, round);
    if (stopping_.load(std::memory_order_relaxed))
      return;
    if (!join_part())
      continue;
    run_share(part_, thread);
    if (members_.fetch_sub(1, std::memory_order_acq_rel) == 1) // the last one, and nobody else comes
      members_.notify_one();
  }
}

/// False if the part is over. It may be a later one than the round that this worker has seen.
bool compute_pool::join_part() {
  auto members = members_.load(std::memory_order_relaxed);
  while ((members & open_part) != 0)
    if (members_.compare_exchange_weak(members, members + 1, std::memory_order_acquire, std::memory_order_relaxed))
      return true;
  return false;
}

std::uint32_t compute_pool::range_of(std::uint32_t count, std::uint32_t grain) const {
  const auto pieces = (count + grain - 1) / grain;
  const auto ranges = std::min(pieces, threads() * ranges_per_thread);
  return (pieces + ranges - 1) / ranges * grain;
}

void compute_pool::run_part(const part& next) {
  part_ = next;
  next_.store(0, std::memory_order_relaxed);
  members_.store(open_part, std::memory_order_release);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  run_share(part_, 0);
  for (auto left = members_.fetch_and(~open_part, std::memory_order_acq_rel) & ~open_part; left != 0;)
    left = wait_while(members_, left);
}

void compute_pool::run_share(const part& p, std::uint32_t thread) {
  for (;;) {
    const auto begin = next_.fetch_add(p.range, std::memory_order_relaxed);
    if (begin >= p.count)
      return;
    p.call(p.context, static_cast<std::uint32_t>(begin),
           static_cast<std::uint32_t>(std::min<std::uint64_t>(begin + p.range, p.count)), thread);
  }
}

} // namespace troupe::gpu::host
