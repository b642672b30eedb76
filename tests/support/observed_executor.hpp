// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "gpu/mock/mock_executor.hpp"

namespace troupe::test {

class observed_executor;

/// The executors of a scenario that are alive at the moment, in order of their making.
struct executor_watch {
  std::vector<observed_executor*> alive;
  /// Called before each submit.
  std::function<void(observed_executor&, const gpu::step&)> before_submit;
  /// Called after each step, before its owner hears of it.
  std::function<void(observed_executor&, const gpu::step_result&)> after_step;
  /// Executors that were made.
  std::uint64_t made = 0;
};

/// A manual mock executor that a scenario can find, step and break, although an actor owns it.
class observed_executor final : public gpu::executor {
public:
  observed_executor(std::unique_ptr<gpu::mock::mock_executor> inner, std::shared_ptr<executor_watch> watch)
    : inner_(std::move(inner)), watch_(std::move(watch)), serial_(++watch_->made) {
    watch_->alive.push_back(this);
  }
  ~observed_executor() override { std::erase(watch_->alive, this); }

  gpu::mock::mock_executor& inner() { return *inner_; }
  /// Of its watch, from 1.
  std::uint64_t serial() const { return serial_; }
  std::uint64_t steps_submitted() const { return steps_submitted_; }

  const gpu::executor_info& info() const override { return inner_->info(); }
  void on_done(std::function<void(gpu::step_result)> f) override {
    inner_->on_done([this, f = std::move(f)](gpu::step_result result) {
      if (watch_->after_step)
        watch_->after_step(*this, result);
      f(std::move(result));
    });
  }
  gpu::errc open(slot_id slot, const sampling_options& sampling, std::span<const token_id> history,
                 std::uint32_t prompt_tokens) override {
    return inner_->open(slot, sampling, history, prompt_tokens);
  }
  void close(slot_id slot) override { inner_->close(slot); }
  gpu::errc submit(gpu::step s) override {
    ++steps_submitted_;
    if (watch_->before_submit)
      watch_->before_submit(*this, s);
    return inner_->submit(std::move(s));
  }
  region_view kv_memory(std::size_t group) override { return inner_->kv_memory(group); }

private:
  std::unique_ptr<gpu::mock::mock_executor> inner_;
  std::shared_ptr<executor_watch> watch_;
  const std::uint64_t serial_;
  std::uint64_t steps_submitted_ = 0;
};

} // namespace troupe::test
