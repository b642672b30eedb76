// SPDX-License-Identifier: Apache-2.0
// Workers whose actor hangs although it lives, under virtual time.
#include <doctest/doctest.h>

#include <caf/send.hpp>

#include "tests/support/scenario.hpp"

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

/// What the test tells its worker to do, and what that saw.
struct orders {
  fleet_member decode; // the node's real worker
  bool reports = true;
  std::uint64_t steps_per_report = 0;
  std::uint32_t requests = 0;
  std::uint32_t cancelled = 0;
  /// An answer that nobody owes any more would be an error at once.
  std::vector<caf::typed_response_promise<prefill_completed>> owed;
};

using order_book = std::shared_ptr<orders>;

/// Introduces a worker, as the real one but with this id and role, and reports as long as it may.
template <class Self>
void pretend(Self* self, order_book book, std::uint32_t role, std::uint64_t steps = 0) {
  auto directory = local_services::find<directory_actor>(self->system(), local_services::directory);
  auto record = book->decode.record;
  record.id = worker_id{0}; // the first of equals
  record.worker_epoch = epoch{1};
  record.roles = role;
  if (steps == 0)
    self->send(directory, fleet_member{record, caf::actor_cast<caf::strong_actor_ptr>(self)});
  steps += 1 + book->steps_per_report;
  load_report report;
  report.worker = record.id;
  report.worker_epoch = record.worker_epoch;
  report.running = book->requests;
  report.steps = book->steps_per_report == 0 ? 1 : steps;
  if (book->reports)
    self->send(directory, report);
  self->run_delayed(100ms, [=] { pretend(self, book, role, steps); });
}

/// Accepts and never generates.
decode_worker_actor::behavior_type hanging_decode_worker(decode_worker_actor::pointer self, order_book book) {
  pretend(self, book, role_decode);
  return {
    [book](const cancel_request&) { ++book->cancelled; },
    [](find_load) { return load_report{}; },
    [](const drain_request&) {},
    [](const transport_endpoint_actor&) {},
    [book](const generate_request&, const stream_hub_actor&, const request_session_actor&) { ++book->requests; },
    [](const fleet_snapshot&) {},
    [](const kv_blocks_arrived&) {},
  };
}

/// Takes prompts and never computes them.
prefill_worker_actor::behavior_type hanging_prefill_worker(prefill_worker_actor::pointer self, order_book book) {
  pretend(self, book, role_prefill);
  return {
    [](const cancel_request&) {},
    [](find_load) { return load_report{}; },
    [](const drain_request&) {},
    [](const transport_endpoint_actor&) {},
    [self, book](const prefill_request&) -> caf::result<prefill_completed> {
      ++book->requests;
      return book->owed.emplace_back(self->make_response_promise<prefill_completed>());
    },
    [](const abandon_landing&) {},
    [](const kv_blocks_arrived&) {},
  };
}

fleet_sink_actor::behavior_type learn_fleet(fleet_sink_actor::pointer self, order_book book) {
  return {[self, book](const fleet_snapshot& fleet) {
    book->decode = fleet.members.at(0);
    self->quit();
  }};
}

/// A node with one real decode worker and one that hangs.
struct hanging_node {
  explicit hanging_node(std::uint32_t role) {
    auto directory = local_services::find<directory_actor>(node.system(), local_services::directory);
    caf::anon_send(directory, node.system().spawn(learn_fleet, book));
    node.settle();
    if (role == role_decode)
      fake = caf::actor_cast<caf::strong_actor_ptr>(node.system().spawn(hanging_decode_worker, book));
    else
      fake = caf::actor_cast<caf::strong_actor_ptr>(node.system().spawn(hanging_prefill_worker, book));
    node.advance(500ms);
  }
  ~hanging_node() {
    caf::anon_send_exit(fake, caf::exit_reason::user_shutdown);
    fake = nullptr;
    book->decode = {};
    book->owed.clear();
    node.settle();
  }

  order_book book = std::make_shared<orders>();
  scenario node{{.prefill_workers = 0}};
  caf::strong_actor_ptr fake;
};

} // namespace

TEST_CASE("a request leaves a decode worker that is silent within 3 s, and new ones avoid it until it reports") {
  hanging_node h{role_decode};
  h.node.start(scenario::make_request(1, 100, 40));
  h.node.advance(1s);
  REQUIRE(h.book->requests == 1);
  h.book->reports = false;
  h.node.advance(1800ms);
  CHECK(h.node.client(1).tokens.empty());
  h.node.advance(1200ms);
  CHECK(h.node.client(1).finish == finish_reason::length);
  CHECK(h.node.client(1).tokens.size() == 40);
  CHECK(h.node.client(1).ends == 1);
  CHECK(h.book->cancelled == 1);
  h.node.start(scenario::make_request(2, 100, 40));
  h.node.advance(100ms);
  CHECK(h.node.client(2).finish == finish_reason::length);
  CHECK(h.book->requests == 1);
  h.book->reports = true;
  h.node.advance(300ms);
  h.node.start(scenario::make_request(3, 100, 40));
  h.node.advance(100ms);
  CHECK(h.book->requests == 2);
}

TEST_CASE("what a worker that was left says of a request counts for nothing where that goes on") {
  hanging_node h{role_decode};
  auto session = h.node.start(scenario::make_request(1, 100, 40));
  h.node.advance(1s);
  REQUIRE(h.book->requests == 1);
  h.book->reports = false;
  auto& clock = dynamic_cast<caf::scheduler::test_coordinator&>(h.node.system().scheduler());
  for (int i = 0; i < 80 && h.node.client(1).tokens.empty(); ++i) {
    clock.advance_time(50ms);
    h.node.settle_steps(1);
  }
  REQUIRE(h.book->cancelled == 1);
  REQUIRE(h.node.client(1).tokens.size() < 40);
  // It resumes and finds the queue deadline past before it finds that it was left.
  caf::anon_send(session, generation_failed{request_id{1}, 1, errc::deadline_exceeded, "it waited too long"});
  h.node.settle();
  CHECK(h.node.client(1).failure == std::nullopt);
  CHECK(h.node.client(1).finish == finish_reason::length);
  CHECK(h.node.client(1).tokens.size() == 40);
}

TEST_CASE("a request leaves a worker that reports no steps while another makes some") {
  hanging_node h{role_decode};
  h.node.start(scenario::make_request(1, 100, 40));
  h.node.advance(19s);
  REQUIRE(h.book->requests == 1);
  CHECK(h.node.client(1).tokens.empty());
  h.node.advance(2s);
  CHECK(h.node.client(1).finish == finish_reason::length);
  CHECK(h.node.client(1).ends == 1);
}

TEST_CASE("a busy worker that makes steps keeps its requests, however long they take") {
  hanging_node h{role_decode};
  h.book->steps_per_report = 1;
  h.node.start(scenario::make_request(1, 100, 40));
  h.node.advance(120s);
  CHECK(h.book->requests == 1);
  CHECK(h.book->cancelled == 0);
  CHECK(h.node.client(1).ends == 0);
}

TEST_CASE(
  "a landing at a prefill worker that is silent is given up within 3 s: the prompt is processed where it decodes") {
  hanging_node h{role_prefill};
  h.node.start(scenario::make_request(1, 100, 40));
  h.node.advance(1s);
  REQUIRE(h.book->requests == 1);
  h.book->reports = false;
  h.node.advance(1800ms);
  CHECK(h.node.client(1).tokens.empty());
  h.node.advance(1200ms);
  CHECK(h.node.client(1).finish == finish_reason::length);
  CHECK(h.node.client(1).ends == 1);
  CHECK(h.node.metric("kv-landings-broken", "decode") == 1);
}
