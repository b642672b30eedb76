// SPDX-License-Identifier: Apache-2.0
// Actors that fail in mid-request, under virtual time.
#include <doctest/doctest.h>

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "messages/caf_error.hpp"
#include "tests/support/scenario.hpp"

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

const std::string prefill_1 = "troupe.prefill-worker/1";
const std::string decode_1 = "troupe.decode-worker/1";

std::vector<token_id> undisturbed_text() {
  scenario node{{}};
  node.start(scenario::make_request(1, 100, 40));
  node.settle();
  REQUIRE(node.client(1).finish == finish_reason::length);
  return node.client(1).tokens;
}

/// The request ended whole, the next one does, and all blocks of both workers are free.
void check_recovered(scenario& node, const std::vector<token_id>& right) {
  node.advance(5s);
  CHECK(node.client(1).ends == 1);
  CHECK(node.client(1).finish == finish_reason::length);
  CHECK(node.client(1).tokens == right);
  CHECK(node.client(1).usage.output_tokens == 40);
  node.start(scenario::make_request(2, 100, 40));
  node.advance(1s);
  CHECK(node.client(2).tokens == right);
  CHECK_FALSE(node.gave_up());
  for (auto& worker : {prefill_1, decode_1}) {
    auto load = node.load_of(worker);
    CHECK(load.blocks > 0);
    CHECK(load.free_blocks == load.blocks);
    CHECK(load.quarantined_blocks == 0);
  }
}

} // namespace

TEST_CASE("an actor that is killed in mid-request is restarted, and the request ends whole with the same text") {
  auto right = undisturbed_text();
  // Steps before the kill: in mid-prefill, at the hand-over, in mid-decode.
  for (std::uint32_t steps : {1u, 2u, 3u, 10u, 30u})
    for (auto& service : {prefill_1, decode_1, std::string{local_services::router},
                          std::string{local_services::directory}, std::string{local_services::transport_endpoint}}) {
      CAPTURE(steps);
      CAPTURE(service);
      scenario node{{.chunk_tokens = 50}};
      node.start(scenario::make_request(1, 100, 40));
      node.settle_steps(steps);
      node.kill(service);
      check_recovered(node, right);
    }
}

TEST_CASE("a router that is killed before it answers is asked again") {
  auto right = undisturbed_text();
  scenario node{{}};
  node.kill(std::string{local_services::router});
  node.start(scenario::make_request(1, 100, 40));
  check_recovered(node, right);
}

TEST_CASE("a device that is lost takes its worker along, and the request goes on in the next") {
  auto right = undisturbed_text();
  for (std::size_t which : {0u, 1u})
    for (std::uint32_t steps : {0u, 1u, 10u}) {
      CAPTURE(which);
      CAPTURE(steps);
      scenario node{{.chunk_tokens = 50}};
      node.start(scenario::make_request(1, 100, 40));
      node.settle_steps(steps);
      node.executor(which).inner().lose_device();
      check_recovered(node, right);
    }
}

TEST_CASE("a session that is killed frees what its request held") {
  for (std::uint32_t steps : {0u, 1u, 10u}) {
    CAPTURE(steps);
    scenario node{{.chunk_tokens = 50}};
    auto session = node.start(scenario::make_request(1, 100, 40));
    node.settle_steps(steps);
    caf::anon_send_exit(session, caf::exit_reason::kill);
    node.advance(1s);
    for (auto& worker : {prefill_1, decode_1}) {
      auto load = node.load_of(worker);
      CHECK(load.running == 0);
      CHECK(load.free_blocks == load.blocks);
    }
    node.start(scenario::make_request(2, 100, 40));
    node.advance(1s);
    CHECK(node.client(2).finish == finish_reason::length);
  }
}

TEST_CASE("what a client has is not generated again by the worker that goes on") {
  scenario node{{.prefill_workers = 0}};
  node.start(scenario::make_request(1, 100, 40));
  node.settle_steps(20);
  auto had = static_cast<std::int64_t>(node.client(1).tokens.size());
  REQUIRE(had > 10);
  auto generated = node.metric("output-tokens", "decode");
  node.kill(decode_1);
  node.advance(5s);
  REQUIRE(node.client(1).finish == finish_reason::length);
  CHECK(node.metric("output-tokens", "decode") - generated == 40 - had);
}

TEST_CASE("the usage says that workers of unequal model files have shared a text") {
  for (auto unequal : {false, true}) {
    CAPTURE(unequal);
    scenario node{{.prefill_workers = 0, .unequal_workers = unequal}};
    node.start(scenario::make_request(1, 100, 40));
    node.settle_steps(20);
    node.kill(decode_1);
    node.advance(5s);
    CHECK(node.client(1).finish == finish_reason::length);
    CHECK(node.client(1).usage.mixed_workers == unequal);
    node.start(scenario::make_request(2, 100, 40));
    node.advance(1s);
    CHECK_FALSE(node.client(2).usage.mixed_workers);
  }
}

TEST_CASE("a prompt is not computed any further for a decode worker that ended") {
  scenario node{{.blocks = 128, .chunk_tokens = 50}};
  node.start(scenario::make_request(1, 1000, 40));
  node.settle_steps(2);
  REQUIRE(node.load_of(prefill_1).running == 1);
  node.kill(decode_1);
  auto load = node.load_of(prefill_1);
  CHECK(load.running == 0);
  CHECK(load.prefill_tokens == 0);
}

TEST_CASE("the fourth failure within ten seconds ends the node, a fourth one later does not") {
  SUBCASE("within") {
    scenario node{{}};
    for (int i = 0; i < 3; ++i) {
      node.kill(decode_1);
      node.advance(1s);
      CHECK_FALSE(node.gave_up());
    }
    node.kill(decode_1);
    node.advance(1s);
    CHECK(node.gave_up());
  }
  SUBCASE("later") {
    scenario node{{}};
    for (int i = 0; i < 5; ++i) {
      node.kill(decode_1);
      node.advance(11s);
    }
    CHECK_FALSE(node.gave_up());
  }
}

TEST_CASE("a request that no worker can continue ends in an error, once") {
  scenario node{{.prefill_workers = 0}};
  // Every life of the worker loses its device at its first step.
  node.executors().before_submit = [](observed_executor& e, const gpu::step&) { e.inner().lose_device(); };
  node.start(scenario::make_request(1, 100, 40));
  node.advance(10s);
  CHECK(node.gave_up());
  node.advance(60s);
  CHECK(node.client(1).ends == 1);
  CHECK(node.client(1).failure.has_value());
  CHECK(node.client(1).tokens.empty());
}

TEST_CASE(
  "a request for a model that nobody serves is tried again and then unavailable, and no other worker takes it") {
  scenario node{{.prefill_workers = 0}};
  auto request = scenario::make_request(1, 100, 40);
  request.model = "another";
  node.start(request);
  node.advance(4s);
  CHECK(node.client(1).ends == 0);
  node.advance(4s);
  CHECK(node.client(1).failure == errc::unavailable);
  CHECK(node.client(1).ends == 1);
  // Even if it came so far.
  caf::scoped_actor self{node.system()};
  auto worker = local_services::find<decode_worker_actor>(node.system(), decode_1);
  auto answer = self->request(worker, caf::infinite, generate_request{request, {}, {}, epoch{1}, 1}, stream_hub_actor{},
                              request_session_actor{});
  node.settle();
  error why;
  answer.receive([] {}, [&](const caf::error& e) { why = from_caf_error(e); });
  CHECK(why.code == errc::model_not_found);
  CHECK(node.executor(0).steps_submitted() == 0);
}
