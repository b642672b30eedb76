// SPDX-License-Identifier: Apache-2.0
#include "gpu/host/compute_pool.hpp"

#include <algorithm>
#include <future>
#include <string>
#include <system_error>

#include "gpu/host/cpu_count.hpp"

namespace troupe::gpu::host {

namespace {

/// Far above any machine; a bound against a mistyped option.
constexpr std::uint32_t threads_max = 1024;
/// About 20 µs: longer than the serial part between two parallel ones, shorter than a time slice.
constexpr int spins = 600;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// Waits until `value` differs from `old`: spins, then sleeps in the kernel.
std::uint32_t wait_while(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  for (int i = 0; i < spins; ++i) {
    if (const auto now = value.load(std::memory_order_acquire); now != old)
      return now;
    pause();
  }
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
  part_ = {}; // no call: the workers end
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
    if (part_.call == nullptr)
      return;
    run_share(part_, thread);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1)
      running_.notify_one();
  }
}

void compute_pool::run_part(const part& next) {
  part_ = next;
  running_.store(static_cast<std::uint32_t>(workers_.size()), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  run_share(part_, 0);
  for (auto left = running_.load(std::memory_order_acquire); left != 0;)
    left = wait_while(running_, left);
}

void compute_pool::run_share(const part& p, std::uint32_t thread) const {
  const std::uint64_t pieces = (std::uint64_t{p.count} + p.grain - 1) / p.grain;
  const auto cut = [&](std::uint64_t t) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(pieces * t / threads() * p.grain, p.count));
  };
  if (const auto begin = cut(thread), end = cut(thread + 1); begin < end)
    p.call(p.context, begin, end, thread);
}

} // namespace troupe::gpu::host
