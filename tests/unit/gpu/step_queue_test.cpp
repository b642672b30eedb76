// SPDX-License-Identifier: Apache-2.0
#include "gpu/step_queue.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::gpu;

namespace {

step make_step(std::uint64_t id) {
  step s;
  s.id = step_id{id};
  return s;
}

constexpr slot_id slot{3};

} // namespace

TEST_CASE("slots change between the steps before and those after") {
  step_queue<int> queue{4, 2};
  queue.change(slot, 1);
  CHECK(queue.slots()[slot.value] == 1);
  REQUIRE(queue.push(make_step(1)) == errc::none);
  queue.change(slot, 2);
  REQUIRE(queue.push(make_step(2)) == errc::none);
  CHECK(queue.push(make_step(3)) == errc::full);
  REQUIRE(queue.take());
  CHECK(queue.slots()[slot.value] == 1);
  queue.finish_one();
  REQUIRE(queue.take());
  CHECK(queue.slots()[slot.value] == 2);
}

TEST_CASE("a slot that is closed while a step runs and opened again after its end is open") {
  step_queue<int> queue{4, 2};
  queue.change(slot, 1);
  REQUIRE(queue.push(make_step(1)) == errc::none);
  REQUIRE(queue.take());
  queue.change(slot, std::nullopt);
  queue.finish_one(); // the close still waits
  queue.change(slot, 2);
  REQUIRE(queue.push(make_step(2)) == errc::none);
  REQUIRE(queue.take());
  CHECK(queue.slots()[slot.value] == 2);
}
