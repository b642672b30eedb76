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
/// A thread takes one such part of what is left of a share at once: few ranges, and small ones at the end.
constexpr std::uint32_t ranges_left = 2;

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
    pool->shares_ = std::vector<share_state>(threads);
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
    run_shares(part_, thread);
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

void compute_pool::run_part(part next) {
  next.round = round_.load(std::memory_order_relaxed) + 1;
  part_ = next;
  shares_left_.store(std::min(next.pieces(), threads()), std::memory_order_relaxed); // the others are empty
  members_.store(open_part, std::memory_order_release);
  round_.store(next.round, std::memory_order_release);
  round_.notify_all();
  run_shares(part_, 0);
  for (auto left = members_.fetch_and(~open_part, std::memory_order_acq_rel) & ~open_part; left != 0;)
    left = wait_while(members_, left);
}

void compute_pool::run_shares(const part& p, std::uint32_t thread) {
  for (std::uint32_t i = 0; i < threads() && shares_left_.load(std::memory_order_relaxed) != 0; ++i) {
    const auto owner = (thread + i) % threads();
    const auto share = share_of(p, owner);
    for (auto r = take(p, owner, share); r.begin < r.end; r = take(p, owner, share))
      p.call(p.context, r.begin, r.end, thread);
  }
}

compute_pool::range compute_pool::share_of(const part& p, std::uint32_t thread) const {
  const std::uint64_t pieces = p.pieces();
  const auto cut = [&](std::uint64_t at) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(pieces * at / threads() * p.grain, p.count));
  };
  return {cut(thread), cut(thread + 1u)};
}

/// Empty if the share is all taken.
compute_pool::range compute_pool::take(const part& p, std::uint32_t owner, range share) {
  auto& taken = shares_[owner].taken;
  auto old = taken.load(std::memory_order_relaxed);
  for (;;) {
    const auto begin = old >> 32 == p.round ? static_cast<std::uint32_t>(old) : share.begin;
    const auto left = share.end - begin;
    if (left == 0)
      return {};
    const auto wanted = std::max(left / ranges_left / p.grain * p.grain, p.grain);
    const range result{begin, begin + std::min(wanted, left)};
    if (!taken.compare_exchange_weak(old, std::uint64_t{p.round} << 32 | result.end, std::memory_order_relaxed))
      continue;
    if (result.end == share.end)
      shares_left_.fetch_sub(1, std::memory_order_relaxed);
    return result;
  }
}

} // namespace troupe::gpu::host
