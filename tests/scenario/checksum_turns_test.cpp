// SPDX-License-Identifier: Apache-2.0
// Checksums of a long prompt's blocks are computed a bit at a time, here one block in a turn; nothing that happens
// between two turns may change a text or cost a block.
#include <doctest/doctest.h>

#include <caf/scheduler/test_coordinator.hpp>

#include "tests/support/scenario.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

const std::string prefill_1 = "troupe.prefill-worker/1";
const std::string decode_1 = "troupe.decode-worker/1";

/// Of a prompt of 100 tokens.
constexpr std::uint32_t blocks = 7;

fault_policy hold_arrivals(std::uint64_t first, std::uint64_t count) {
  fault_policy faults;
  for (auto i = first; i < first + count; ++i)
    faults.hold_arrival.insert(i);
  return faults;
}

/// Enough turns for both workers and all that these scenarios ask for.
void take_turns(scenario& node) {
  for (int i = 0; i < 50; ++i) {
    node.run_due();
    node.settle();
  }
}

/// Unlike scenario::advance: whatever comes due meanwhile comes after it.
void jump(scenario& node, std::chrono::seconds time) {
  dynamic_cast<caf::scheduler::test_coordinator&>(node.system().scheduler()).advance_time(time);
}

} // namespace

TEST_CASE("a decode worker hashes a turn's bytes of what landed, and answers and computes between two turns") {
  scenario node{{.faults = hold_arrivals(1, blocks), .checksum_turn_bytes = 1}};
  node.start(scenario::make_request(1, 10, 200));
  node.settle_steps(10);
  REQUIRE(node.metric("kv-landings-completed", "decode") == 1);
  node.start(scenario::make_request(2, 100));
  for (std::uint32_t i = 0; i < 2 * blocks; ++i) {
    node.run_due();
    node.settle_steps(1);
  }
  REQUIRE(node.transport()->held() == blocks);
  node.transport()->release();
  // All arrive at once, and the record is there.
  node.settle_steps(1);
  REQUIRE(node.metric("kv-blocks-received", "decode") == 1 + blocks);
  for (std::uint32_t hashed = 1; hashed < blocks; ++hashed) {
    CAPTURE(hashed);
    CHECK(node.load_of(decode_1).landing == 1);
    CHECK(node.metric("kv-landings-completed", "decode") == 1);
    const auto steps = node.executor(1).steps_submitted();
    node.run_due();
    node.settle_steps(1);
    CHECK(node.executor(1).steps_submitted() > steps);
  }
  CHECK(node.load_of(decode_1).landing == 0);
  CHECK(node.metric("kv-landings-completed", "decode") == 2);
  node.settle();
  CHECK(node.client(2).tokens == aggregated_text(100));
  CHECK(node.client(1).tokens == aggregated_text(10, 200));
  CHECK(node.metric("prompt-tokens-computed", "decode") == 0);
  check_all_free(node, decode_1);
}

TEST_CASE("a prefill worker hashes and pushes a turn's bytes of a prompt that it found in its cache") {
  scenario node{{.checksum_turn_bytes = 1}};
  node.start(scenario::make_request(1, 100));
  take_turns(node);
  REQUIRE(node.client(1).tokens == aggregated_text(100));
  REQUIRE(node.transport()->writes() == blocks);
  // Only the prefill worker still has it.
  node.kill(decode_1);
  node.advance(std::chrono::milliseconds{500});
  node.start(scenario::make_request(2, 100));
  node.settle();
  for (std::uint32_t pushed = 1; pushed < blocks; ++pushed) {
    CAPTURE(pushed);
    CHECK(node.transport()->writes() == blocks + pushed);
    CHECK(node.load_of(prefill_1).running == 1);
    node.run_due();
    node.settle();
  }
  CHECK(node.transport()->writes() == 2 * blocks);
  take_turns(node);
  CHECK(node.client(2).tokens == aggregated_text(100));
  CHECK(node.client(2).usage.cached_tokens == 96);
  CHECK(node.metric("kv-landings-broken", "decode") == 0);
  check_all_free(node, prefill_1);
  check_all_free(node, decode_1);
}

TEST_CASE("a damaged block in the middle that was hashed before the record came is found by the record") {
  for (std::uint64_t block : {0u, 3u, 6u}) {
    CAPTURE(block);
    scenario node{{.faults = {.seed = block + 1, .flip = {block}, .hold_completion = {6}}, .checksum_turn_bytes = 1}};
    node.start(scenario::make_request(1, 100));
    take_turns(node);
    CHECK(node.metric("kv-blocks-received", "decode") == blocks);
    CHECK(node.metric("kv-checksum-misses", "decode") == 0);
    CHECK(node.executor(1).steps_submitted() == 0);
    node.transport()->release();
    // No turn is left to take.
    node.settle();
    CHECK(node.metric("kv-checksum-misses", "decode") == 1);
    CHECK(node.metric("prompt-tokens-computed", "decode") == 100 - static_cast<std::int64_t>(block) * 16);
    CHECK(node.client(1).tokens == aggregated_text(100));
    check_all_free(node, decode_1);
  }
}

TEST_CASE("a landing that ends while blocks of it are not hashed costs no block, and the next one there is whole") {
  enum class end : std::uint8_t { client_leaves, time_is_up, writer_ends };
  for (auto how : {end::client_leaves, end::time_is_up, end::writer_ends})
    for (bool has_record : {false, true}) {
      if (has_record && how == end::writer_ends)
        continue; // it is not needed any more
      CAPTURE(how);
      CAPTURE(has_record);
      scenario node{{.blocks = 8, .faults = hold_arrivals(0, blocks), .checksum_turn_bytes = 1}};
      auto request = scenario::make_request(1, 100);
      if (how == end::time_is_up)
        request.time_left = std::chrono::seconds{2};
      node.start(std::move(request));
      if (has_record) {
        take_turns(node);
        REQUIRE(node.transport()->held() == blocks);
      } else {
        // The prefill worker has computed a part and pushed two blocks of it.
        node.settle_steps(1);
        node.run_due();
        node.settle_steps(0);
        REQUIRE(node.transport()->held() == 2);
      }
      node.transport()->release();
      node.settle_steps(0);
      REQUIRE(node.load_of(decode_1).landing == 1);
      switch (how) {
        case end::client_leaves: node.disconnect(1); break;
        case end::time_is_up: jump(node, std::chrono::seconds{3}); break;
        case end::writer_ends: node.kill(prefill_1); break;
      }
      take_turns(node);
      CHECK(node.client(1).ends == 1);
      CHECK(node.client(1).tokens == (how == end::writer_ends ? aggregated_text(100) : std::vector<token_id>{}));
      node.advance(std::chrono::milliseconds{500});
      node.start(scenario::make_request(2, 110));
      take_turns(node);
      CHECK(node.client(2).tokens == aggregated_text(110));
      CHECK(node.metric("kv-checksum-misses", "decode") == 0);
      CHECK(node.metric("kv-landings-completed", "decode") == 1);
      check_all_free(node, decode_1);
    }
}

TEST_CASE("a landing that has all from its writer is given up for nothing that becomes of the writer") {
  scenario node{{.faults = hold_arrivals(0, blocks), .checksum_turn_bytes = 1}};
  node.start(scenario::make_request(1, 100));
  take_turns(node);
  node.transport()->release();
  node.settle();
  SUBCASE("its lease ends") { jump(node, std::chrono::seconds{40}); }
  SUBCASE("its writer ends") { node.kill(prefill_1); }
  SUBCASE("its endpoint ends") { node.kill(std::string{local_services::transport_endpoint}); }
  node.settle();
  CHECK(node.load_of(decode_1).landing == 1);
  take_turns(node);
  CHECK(node.client(1).tokens == aggregated_text(100));
  CHECK(node.metric("kv-landings-broken", "decode") == 0);
  CHECK(node.metric("kv-landings-completed", "decode") == 1);
  CHECK(node.metric("prompt-tokens-computed", "decode") == 0);
  check_all_free(node, decode_1);
}
