// SPDX-License-Identifier: Apache-2.0
#include "planner/policy/least_loaded.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "messages/worker_record.hpp"

using namespace troupe;
using namespace troupe::planner;

namespace {

candidate decoder(std::uint64_t id, std::uint32_t requests = 0, std::uint64_t fingerprint = 1) {
  candidate c;
  c.id = {id};
  c.roles = role_decode;
  c.block_tokens = 16;
  c.blocks = 1'000;
  c.context_tokens = 8'192;
  c.fingerprint = {fingerprint};
  c.active_requests = requests;
  return c;
}

candidate prefiller(std::uint64_t id, std::uint64_t fingerprint = 1) {
  auto c = decoder(id, 0, fingerprint);
  c.roles = role_prefill;
  return c;
}

demand prompt_of(std::uint32_t tokens) {
  demand d;
  d.prompt_tokens = tokens;
  return d;
}

placement placed(const demand& what, const std::vector<candidate>& candidates, std::uint32_t disaggregate_over = 0) {
  auto result = least_loaded{disaggregate_over}.place(what, candidates);
  REQUIRE(std::holds_alternative<placement>(result));
  return std::get<placement>(result);
}

} // namespace

TEST_CASE("the worker with the fewest requests is chosen, of equals the one with the fewest tokens, then the one "
          "chosen longest ago") {
  CHECK(placed(prompt_of(1), {decoder(1, 2), decoder(2, 1), decoder(3, 3)}).decode == worker_id{2});
  auto a = decoder(1, 1), b = decoder(2, 1);
  a.active_tokens = 10;
  CHECK(placed(prompt_of(1), {a, b}).decode == worker_id{2});
  b.active_tokens = 10;
  b.last_placed = 5;
  a.last_placed = 6;
  CHECK(placed(prompt_of(1), {a, b}).decode == worker_id{2});
}

TEST_CASE("a worker that failed the request is taken only if there is no other") {
  auto what = prompt_of(1);
  what.avoid = worker_id{1};
  CHECK(placed(what, {decoder(1), decoder(2, 50)}).decode == worker_id{2});
  CHECK(placed(what, {decoder(1)}).decode == worker_id{1});
}

TEST_CASE("a request that has tokens goes on where the same bits are computed, if such a worker is there") {
  auto what = prompt_of(1);
  what.like = model_fingerprint{7};
  CHECK(placed(what, {decoder(1, 0, 6), decoder(2, 50, 7)}).decode == worker_id{2});
  CHECK(placed(what, {decoder(1, 0, 6), decoder(2, 50, 5)}).decode == worker_id{1});
  what.avoid = worker_id{2}; // it failed just now
  CHECK(placed(what, {decoder(1, 0, 6), decoder(2, 50, 7)}).decode == worker_id{1});
}

TEST_CASE("a prompt longer than the bound is prefilled by a worker of the same model, layout and arithmetic") {
  CHECK(placed(prompt_of(10), {decoder(1), prefiller(2)}).prefill == worker_id{2});
  CHECK_FALSE(placed(prompt_of(10), {decoder(1), prefiller(2)}, 10).prefill);
  CHECK_FALSE(placed(prompt_of(10), {decoder(1), prefiller(2, 9)}).prefill);
  auto other = prefiller(2);
  other.block_tokens = 32;
  CHECK_FALSE(placed(prompt_of(10), {decoder(1), other}).prefill);
}

TEST_CASE("without a decode worker the answer is a refusal") {
  auto result = least_loaded{0}.place(prompt_of(1), std::vector{prefiller(1)});
  REQUIRE(std::holds_alternative<refusal>(result));
  CHECK(std::get<refusal>(result).code == errc::unavailable);
}

TEST_CASE("a request goes only to a worker that can hold all of it, and is refused as too long if none can") {
  auto small = decoder(1), large = decoder(2, 50), short_context = decoder(3);
  small.blocks = 4;
  short_context.context_tokens = 65;
  auto what = prompt_of(60);
  what.output_tokens_expected = 5; // the last token of 65 needs no KV
  CHECK(placed(what, {small, large}).decode == worker_id{1});
  what.output_tokens_expected = 6;
  CHECK(placed(what, {small, large}).decode == worker_id{2});
  CHECK(placed(what, {short_context}).decode == worker_id{3}); // which cuts the output
  what.prompt_tokens = 65;
  auto refused = least_loaded{0}.place(what, std::vector{small, short_context});
  REQUIRE(std::holds_alternative<refusal>(refused));
  CHECK(std::get<refusal>(refused).code == errc::context_too_long);
}
