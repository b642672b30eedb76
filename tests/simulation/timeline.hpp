// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

namespace troupe::test {

using virtual_instant = std::chrono::steady_clock::time_point;

/// What a simulated world will do, in order of time; what is due at the same time, in order of planning.
class timeline {
public:
  virtual_instant now() const { return now_; }

  void at(virtual_instant when, std::function<void()> what) {
    events_.emplace(std::pair{std::max(when, now_), ++planned_}, std::move(what));
  }
  void after(std::chrono::nanoseconds wait, std::function<void()> what) { at(now_ + wait, std::move(what)); }

  std::optional<virtual_instant> next() const {
    return events_.empty() ? std::nullopt : std::optional{events_.begin()->first.first};
  }
  /// Lets time pass. REQUIRES: nothing is due before `when`
  void move_to(virtual_instant when) { now_ = when; }
  /// Does the first thing that is due now; false if there is none.
  bool run_one() {
    if (events_.empty() || events_.begin()->first.first > now_)
      return false;
    auto event = events_.extract(events_.begin());
    event.mapped()();
    return true;
  }

private:
  virtual_instant now_{std::chrono::nanoseconds{1}}; // where CAF's test clocks begin
  std::uint64_t planned_ = 0;
  std::map<std::pair<virtual_instant, std::uint64_t>, std::function<void()>> events_;
};

} // namespace troupe::test
