// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstdint>
#include <deque>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "gpu/executor.hpp"

namespace troupe::gpu {

/// Steps and slot changes in the order in which an executor was asked for them, and the slots as the oldest
/// step sees them. The executor guards all of it but slots() by a mutex of its own; slots() belongs to whoever runs the
/// step that take() gave out.
template <class Slot>
class step_queue {
public:
  step_queue(std::uint32_t slots, std::uint32_t steps_max) : steps_max_(steps_max), slots_(slots) {}

  /// Sets a slot, or clears it, after the steps before and before those after.
  void change(slot_id slot, std::optional<Slot> state) {
    queue_.push_back(slot_change{slot, std::move(state)});
    // A change may still wait here though the step before it has ended by now: all of them, in their order.
    if (in_flight_ == 0)
      std::ignore = take();
  }

  /// errc::full with steps_max in flight, errc::invalid_step for an id that does not ascend.
  errc push(step s) {
    if (in_flight_ == steps_max_)
      return errc::full;
    if (s.id <= last_)
      return errc::invalid_step;
    last_ = s.id;
    ++in_flight_;
    queue_.push_back(std::move(s));
    return errc::none;
  }

  /// The next step, with the slot changes before it done. It counts as in flight until finish_one().
  std::optional<step> take() {
    while (!queue_.empty()) {
      auto work = std::move(queue_.front());
      queue_.pop_front();
      if (auto* s = std::get_if<step>(&work))
        return std::move(*s);
      auto& change = std::get<slot_change>(work);
      slots_[change.slot.value] = std::move(change.state);
    }
    return std::nullopt;
  }

  /// Forgets all that is queued, without touching the slots; the steps that will never run.
  std::vector<step_id> abandon() {
    std::vector<step_id> steps;
    for (const auto& work : std::exchange(queue_, {}))
      if (const auto* s = std::get_if<step>(&work))
        steps.push_back(s->id);
    return steps;
  }

  void finish_one() {
    assert(in_flight_ > 0);
    --in_flight_;
  }

  /// What take() would give out; null if there is none.
  const step* next() const {
    for (const auto& work : queue_)
      if (const auto* s = std::get_if<step>(&work))
        return s;
    return nullptr;
  }

  std::uint32_t in_flight() const { return in_flight_; }

  std::vector<std::optional<Slot>>& slots() { return slots_; }

private:
  struct slot_change {
    slot_id slot;
    std::optional<Slot> state;
  };

  std::uint32_t steps_max_;
  std::deque<std::variant<slot_change, step>> queue_;
  std::uint32_t in_flight_ = 0;
  step_id last_;
  std::vector<std::optional<Slot>> slots_;
};

} // namespace troupe::gpu
