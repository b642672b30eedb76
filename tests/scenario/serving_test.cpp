// SPDX-License-Identifier: Apache-2.0
// Batching, sharing, admission, deadlines and cancellation of a node, under virtual time.
#include <doctest/doctest.h>

#include <algorithm>

#include <caf/scoped_actor.hpp>

#include "messages/caf_error.hpp"
#include "tests/support/scenario.hpp"

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

const std::string decode_1 = "troupe.decode-worker/1";
const std::string decode_2 = "troupe.decode-worker/2";

scenario::options aggregated(scenario::options o = {}) {
  o.prefill_workers = 0;
  return o;
}

inference_request distinct_request(std::uint64_t id, std::uint32_t prompt_tokens, std::uint32_t output_tokens) {
  auto request = scenario::make_request(id, prompt_tokens, output_tokens);
  request.prompt[0] = static_cast<token_id>(id % 500);
  return request;
}

} // namespace

TEST_CASE("eight streams share their steps, and each has its first token before any has ended") {
  std::int64_t alone = 0;
  {
    scenario node{aggregated({.blocks = 256})};
    node.start(distinct_request(1, 20, 128));
    node.settle();
    alone = node.metric("decode-steps", "decode");
  }
  scenario node{aggregated({.blocks = 256})};
  for (std::uint64_t id = 1; id <= 8; ++id)
    node.start(distinct_request(id, 20, 128));
  bool all_began = false;
  for (int i = 0; i < 400; ++i) {
    node.settle_steps(1);
    std::uint32_t began = 0, ended = 0;
    for (std::uint64_t id = 1; id <= 8; ++id) {
      began += node.client(id).tokens.empty() ? 0 : 1;
      ended += node.client(id).ends;
    }
    all_began = all_began || began == 8;
    if (!all_began)
      CHECK(ended == 0);
  }
  node.settle();
  CHECK(all_began);
  auto together = node.metric("decode-steps", "decode");
  MESSAGE("decode steps: " << alone << " for one stream, " << together << " for eight");
  CHECK(static_cast<double>(together) < 1.3 * static_cast<double>(alone));
}

TEST_CASE("token k reaches the hub while step k + 2 is held") {
  scenario node{aggregated()};
  node.start(scenario::make_request(1, 20, 10));
  for (std::uint32_t k = 1; k <= 8; ++k) {
    node.settle_steps(1);
    CHECK(node.client(1).tokens.size() == k);
  }
}

TEST_CASE("a step has room for every sequence that may run") {
  scenario node{aggregated({.blocks = 400, .running_max = 100})};
  std::size_t rows_most = 0;
  node.executors().before_submit = [&](observed_executor&, const gpu::step& s) {
    rows_most = std::max(rows_most, s.rows.size());
  };
  for (std::uint64_t id = 1; id <= 100; ++id)
    node.start(distinct_request(id, 20, 20));
  node.settle();
  CHECK(rows_most == 100);
}

TEST_CASE("the hub is told when a batch's oldest token was drawn") {
  const auto real_time = [] { return std::chrono::steady_clock::now().time_since_epoch(); };
  scenario node{aggregated()};
  node.start(scenario::make_request(1, 20, 10));
  for (std::uint32_t k = 1; k <= 8; ++k) {
    const auto begin = real_time();
    node.settle_steps(1);
    const auto sampled = node.client(1).sampled_at;
    REQUIRE(sampled);
    CHECK(*sampled >= begin);
    CHECK(*sampled <= real_time());
  }
}

TEST_CASE("sixteen requests that need three times the blocks there are all finish, with unchanged text") {
  std::vector<std::vector<token_id>> right;
  for (std::uint64_t id = 1; id <= 16; ++id) {
    scenario node{aggregated()};
    node.start(distinct_request(id, 100, 100));
    node.settle();
    right.push_back(node.client(id).tokens);
  }
  scenario node{aggregated({.blocks = 64})};
  for (std::uint64_t id = 1; id <= 16; ++id)
    node.start(distinct_request(id, 100, 100));
  node.settle();
  for (std::uint64_t id = 1; id <= 16; ++id) {
    CHECK(node.client(id).finish == finish_reason::length);
    CHECK(node.client(id).tokens == right[id - 1]);
  }
  CHECK(node.metric("preemptions", "decode") > 0);
  CHECK(node.load_of(decode_1).free_blocks == 64);
}

TEST_CASE("the blocks of a client that went away are free before the second step after") {
  scenario node{aggregated()};
  node.start(scenario::make_request(1, 100, 100));
  node.settle_steps(10);
  CHECK(node.load_of(decode_1).free_blocks < 64);
  node.disconnect(1);
  node.settle_steps(0);
  auto submitted = node.executor(0).steps_submitted();
  // The two steps in flight still use them; none follows.
  node.settle_steps(2);
  CHECK(node.load_of(decode_1).free_blocks == 64);
  CHECK(node.executor(0).steps_submitted() == submitted);
}

TEST_CASE("after five hundred cancels at any moment all blocks are free") {
  for (std::uint32_t prefill_workers : {0u, 1u}) {
    scenario node{{.prefill_workers = prefill_workers, .chunk_tokens = 32}};
    for (std::uint64_t id = 1; id <= 500; ++id) {
      node.start(distinct_request(id, 20 + static_cast<std::uint32_t>(id % 90), 20));
      node.settle_steps(static_cast<std::uint32_t>(id * 7 % 13));
      node.disconnect(id);
      if (id % 5 == 0)
        node.settle();
    }
    node.advance(1s);
    auto load = node.load_of(decode_1);
    CHECK(load.free_blocks == load.blocks);
    CHECK(load.quarantined_blocks == 0);
    CHECK(load.running == 0);
    if (prefill_workers > 0)
      CHECK(node.load_of("troupe.prefill-worker/1").free_blocks == load.blocks);
  }
}

TEST_CASE("one request over the admission limit is refused as overloaded, and the others finish") {
  scenario node{aggregated({.queued_max = 2, .running_max = 1})};
  for (std::uint64_t id = 1; id <= 4; ++id)
    node.start(distinct_request(id, 20, 10));
  node.settle_steps(1);
  std::uint32_t refused = 0;
  for (std::uint64_t id = 1; id <= 4; ++id)
    refused += node.client(id).failure == errc::overloaded ? 1 : 0;
  CHECK(refused == 1);
  node.settle();
  for (std::uint64_t id = 1; id <= 4; ++id)
    CHECK(node.client(id).ends == 1);
}

TEST_CASE("a request whose time is up ends with an error, running or waiting") {
  scenario node{aggregated({.running_max = 1})};
  node.start(distinct_request(1, 20, 1000));
  auto late = distinct_request(2, 20, 10);
  late.time_left = 1s;
  node.start(std::move(late));
  auto impatient = distinct_request(3, 20, 10);
  impatient.queue_time_left = 500ms;
  node.start(std::move(impatient));
  node.settle_steps(3);
  auto& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(node.system().scheduler());
  for (int i = 0; i < 40; ++i) {
    scheduler.advance_time(50ms);
    node.settle_steps(1);
  }
  CHECK(node.client(2).failure == errc::deadline_exceeded);
  CHECK(node.client(3).failure == errc::deadline_exceeded);
  CHECK(node.client(2).ends == 1);
  CHECK(node.client(3).ends == 1);
  CHECK(node.client(1).ends == 0);
}

TEST_CASE("priority -1 overtakes those that wait") {
  scenario node{aggregated({.running_max = 1})};
  std::vector<std::uint64_t> order;
  for (std::uint64_t id = 1; id <= 4; ++id) {
    auto request = distinct_request(id, 20, 5);
    request.priority = id == 4 ? -1 : 0;
    node.start(std::move(request));
    node.settle_steps(id == 1 ? 1 : 0);
  }
  for (int i = 0; i < 100; ++i) {
    node.settle_steps(1);
    for (std::uint64_t id = 1; id <= 4; ++id)
      if (node.client(id).ends > 0 && std::ranges::find(order, id) == order.end())
        order.push_back(id);
  }
  CHECK(order == std::vector<std::uint64_t>{1, 4, 2, 3});
}

TEST_CASE("two decode workers share forty equal requests") {
  scenario node{aggregated({.decode_workers = 2, .blocks = 512})};
  for (std::uint64_t id = 1; id <= 40; ++id)
    node.start(distinct_request(id, 20, 10));
  node.settle_steps(1);
  auto first = node.load_of(decode_1), second = node.load_of(decode_2);
  CHECK(first.running + first.queued + second.running + second.queued == 40);
  CHECK(std::max(first.running + first.queued, second.running + second.queued) <= 24);
  node.settle();
  for (std::uint64_t id = 1; id <= 40; ++id)
    CHECK(node.client(id).finish == finish_reason::length);
}

TEST_CASE("the load of a request that has ended counts no more") {
  scenario node{aggregated({.decode_workers = 2, .blocks = 512})};
  node.start(distinct_request(10, 20, 5));
  node.settle();
  node.start(distinct_request(1, 20, 1000)); // to the one that was not chosen last; settle_steps() serves it last
  node.settle_steps(1);
  REQUIRE(node.load_of(decode_2).running == 1);
  for (std::uint64_t id = 2; id <= 9; ++id) {
    CAPTURE(id);
    node.start(distinct_request(id, 20, 5));
    node.settle_steps(2);
    CHECK(node.load_of(decode_2).running == 1); // the other worker was idle
    node.settle_steps(20);
    CHECK(node.client(id).ends == 1);
  }
  CHECK(node.client(1).ends == 0);
}

TEST_CASE("a request for an earlier life of a worker is refused as stale") {
  scenario node{aggregated()};
  const auto now = node.load_of(decode_1).worker_epoch;
  const auto worker = local_services::find<decode_worker_actor>(node.system(), decode_1);
  errc refused = errc::none;
  caf::scoped_actor self{node.system()};
  generate_request ask{scenario::make_request(1, 20), {}, {}, epoch{now.value + 1}};
  auto response = self->request(worker, 5s, std::move(ask), stream_hub_actor{}, request_session_actor{});
  node.settle();
  response.receive([] {}, [&](const caf::error& e) { refused = from_caf_error(e).code; });
  CHECK(refused == errc::stale);
  CHECK(node.metric("stale-messages", "decode") == 1);
}
