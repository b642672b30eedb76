// SPDX-License-Identifier: Apache-2.0
// A prompt is prefilled by one worker and decoded by another. The mock executor fails a step whose KV is
// not what the sequence's tokens say, so equal text here means that the right bytes were in the right place.
#include <doctest/doctest.h>

#include <algorithm>

#include <caf/send.hpp>

#include "tests/support/scenario.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

const std::string prefill_1 = "troupe.prefill-worker/1";
const std::string decode_1 = "troupe.decode-worker/1";

} // namespace

TEST_CASE("a prompt that crosses gives the same text as one that does not, and decode computes none of it") {
  for (std::uint32_t prompt : {1u, 15u, 16u, 17u, 100u, 500u}) {
    CAPTURE(prompt);
    scenario node{{}};
    node.start(scenario::make_request(1, prompt));
    node.settle();
    CHECK(node.client(1).tokens == aggregated_text(prompt));
    CHECK(node.client(1).ends == 1);
    CHECK(node.client(1).usage.prompt_tokens == prompt);
    CHECK(node.client(1).usage.output_tokens == 16);
    CHECK(node.metric("prompt-tokens-computed", "decode") == 0);
    CHECK(node.metric("prompt-tokens-computed", "prefill") == prompt);
    CHECK(node.metric("kv-landings-completed", "decode") == 1);
    check_all_free(node, prefill_1);
    check_all_free(node, decode_1);
  }
}

TEST_CASE("the transport moves exactly the prompt's blocks, between two regions that do not overlap") {
  scenario node{{}};
  node.start(scenario::make_request(1, 100));
  node.settle();
  REQUIRE(node.executors().alive.size() == 2);
  auto prefill = node.executor(0).kv_memory(0);
  auto decode = node.executor(1).kv_memory(0);
  CHECK((prefill.data + prefill.bytes <= decode.data || decode.data + decode.bytes <= prefill.data));
  auto blocks = (100 + 15) / 16;
  CHECK(node.transport()->bytes_moved() == blocks * node.executor(0).info().groups[0].block_bytes);
  CHECK(node.metric("kv-blocks-received", "decode") == blocks);
}

TEST_CASE("blocks travel while the prompt is still being computed") {
  scenario node{{.blocks = 128, .chunk_tokens = 64}};
  std::int64_t arrived_before_last = -1;
  std::uint32_t computed = 0;
  node.executors().before_submit = [&](observed_executor& e, const gpu::step& s) {
    if (node.executors().alive.front() != &e)
      return;
    computed += s.computed_tokens();
    if (computed == 1000 && arrived_before_last < 0)
      arrived_before_last = node.metric("kv-blocks-received", "decode");
  };
  node.start(scenario::make_request(1, 1000));
  node.settle();
  CHECK(node.client(1).finish == finish_reason::length);
  MESSAGE("blocks that had arrived before the last prefill step was submitted: " << arrived_before_last << " of 63");
  CHECK(arrived_before_last >= 40);
}

TEST_CASE("a flipped byte is a counted miss and changes no text") {
  auto right = aggregated_text(100);
  for (std::uint64_t block : {0u, 3u, 6u}) {
    CAPTURE(block);
    scenario node{{.faults = {.seed = block + 1, .flip = {block}}}};
    node.start(scenario::make_request(1, 100));
    node.settle();
    CHECK(node.transport()->flips() == 1);
    CHECK(node.metric("kv-checksum-misses", "decode") == 1);
    CHECK(node.metric("kv-landings-broken", "decode") == 1);
    // Only what follows the last good block is computed again.
    CHECK(node.metric("prompt-tokens-computed", "decode") == 100 - static_cast<std::int64_t>(block) * 16);
    CHECK(node.client(1).tokens == right);
    check_all_free(node, decode_1);
  }
}

TEST_CASE("nothing is decoded before the completion record and the last block are there") {
  SUBCASE("the transport withholds a completion, so prefill withholds its record") {
    scenario node{{.faults = {.hold_completion = {6}}}};
    node.start(scenario::make_request(1, 100));
    node.settle();
    CHECK(node.executor(1).steps_submitted() == 0);
    CHECK(node.client(1).tokens.empty());
    node.transport()->release();
    node.settle();
    CHECK(node.client(1).tokens == aggregated_text(100));
  }
  SUBCASE("the transport withholds an arrival") {
    scenario node{{.faults = {.hold_arrival = {2}}}};
    node.start(scenario::make_request(1, 100));
    node.settle();
    CHECK(node.executor(1).steps_submitted() == 0);
    node.transport()->release();
    node.settle();
    CHECK(node.client(1).tokens == aggregated_text(100));
  }
}

TEST_CASE("a landing that never completes is given up, and its blocks stay in quarantine until the fence") {
  scenario node{{.faults = {.drop_completion = {6}}}};
  auto request = scenario::make_request(1, 100);
  request.time_left = std::chrono::seconds{2};
  node.start(std::move(request));
  node.settle();
  CHECK(node.load_of(decode_1).running == 1);
  node.advance(std::chrono::seconds{4});
  CHECK(node.client(1).failure == errc::deadline_exceeded);
  CHECK(node.client(1).ends == 1);
  node.advance(std::chrono::seconds{60});
  check_all_free(node, decode_1);
  check_all_free(node, prefill_1);
}

TEST_CASE("blocks of a landing that was given up stay in quarantine until the fence is through") {
  scenario node{{.faults = {.hold_completion = {6}, .fences = fault_policy::fence_news::held}}};
  auto request = scenario::make_request(1, 100);
  SUBCASE("the request's time was up") { request.time_left = std::chrono::seconds{2}; }
  SUBCASE("the client went away") { request.time_left = std::chrono::seconds{600}; }
  const bool is_late = request.time_left == std::chrono::seconds{2};
  node.start(std::move(request));
  node.settle();
  if (is_late)
    node.advance(std::chrono::seconds{4});
  else
    node.disconnect(1);
  node.settle();
  CHECK(node.client(1).ends == 1);
  CHECK(node.load_of(decode_1).quarantined_blocks == 7);
  node.transport()->release();
  node.settle();
  check_all_free(node, decode_1);
}

TEST_CASE("a fence waits for writes that wait for credit themselves") {
  // The first write is under way for long, and the others find no credit meanwhile.
  fault_policy faults{.hold_completion = {0}};
  for (std::uint64_t i = 1; i < 100; ++i)
    faults.refuse.insert(i);
  scenario node{{.faults = faults}};
  node.start(scenario::make_request(1, 100));
  node.settle();
  node.disconnect(1);
  node.settle();
  CHECK(node.load_of(decode_1).quarantined_blocks == 7);
  node.transport()->release();
  node.settle();
  check_all_free(node, decode_1);
  check_all_free(node, prefill_1);
}

TEST_CASE("blocks of a landing whose writer died stay in quarantine until what was posted has landed") {
  // As above, but nobody is left to say that nothing is under way: the endpoint's fence has to.
  fault_policy faults{.hold_completion = {0}, .fences = fault_policy::fence_news::held};
  for (std::uint64_t i = 1; i < 100; ++i)
    faults.refuse.insert(i);
  scenario node{{.faults = faults}};
  node.start(scenario::make_request(1, 100));
  node.settle();
  node.kill(prefill_1);
  node.settle();
  CHECK(node.load_of(decode_1).quarantined_blocks == 7);
  const auto moved = node.transport()->bytes_moved();
  node.transport()->release();
  node.advance(std::chrono::seconds{1});
  CHECK(node.client(1).tokens == aggregated_text(100));
  // What waited for credit was refused.
  CHECK(node.transport()->bytes_moved() == moved);
  check_all_free(node, decode_1);
}

TEST_CASE("a prompt that is processed for a second decode worker does not wait for what goes to the one that died") {
  scenario node{{.decode_workers = 2, .faults = {.hold_completion = {0}}}};
  node.start(scenario::make_request(1, 100));
  node.settle();
  const auto first = node.load_of(decode_1).running == 1 ? decode_1 : std::string{"troupe.decode-worker/2"};
  REQUIRE(node.load_of(first).running == 1);
  node.kill(first);
  node.advance(std::chrono::milliseconds{500});
  CHECK(node.client(1).tokens == aggregated_text(100));
  CHECK(node.metric("kv-landings-completed", "decode") == 1);
  node.transport()->release();
  node.settle();
  check_all_free(node, prefill_1);
}

TEST_CASE("an arrival in another landing, or in one of an earlier life of the worker, counts for nothing") {
  scenario node{{.faults = {.hold_arrival = {2}}}};
  node.start(scenario::make_request(1, 100));
  node.settle();
  const auto stale = node.metric("stale-messages", "decode");
  const auto now = node.load_of(decode_1).worker_epoch;
  const auto worker = local_services::find<decode_worker_actor>(node.system(), decode_1);
  kv_block_arrived awaited{.request = {1}, .owner_epoch = now, .landing = 1, .group = 0, .block_index = 2};
  auto wrong = awaited;
  SUBCASE("another life") { wrong.owner_epoch = {now.value + 1}; }
  SUBCASE("another landing of the same request") { wrong.landing = 2; }
  SUBCASE("another group") { wrong.group = 1; }
  SUBCASE("another block") { wrong.block_index = 7; }
  caf::anon_send(worker, kv_blocks_arrived{{wrong}});
  node.settle();
  CHECK(node.executor(1).steps_submitted() == 0);
  CHECK(node.metric("stale-messages", "decode") == stale + 1);
  // All else of it is right.
  caf::anon_send(worker, kv_blocks_arrived{{awaited}});
  node.settle();
  CHECK(node.metric("stale-messages", "decode") == stale + 1);
  CHECK(node.client(1).tokens == aggregated_text(100));
  CHECK(node.metric("kv-landings-completed", "decode") == 1);
}

TEST_CASE("a repeated prompt travels and is computed only where it is new") {
  scenario node{{.blocks = 256}};
  node.start(scenario::make_request(1, 1000));
  node.settle();
  auto moved = node.transport()->bytes_moved();
  auto computed = node.metric("prompt-tokens-computed", "prefill");
  CHECK(computed == 1000);
  node.start(scenario::make_request(2, 1000));
  node.settle();
  CHECK(node.client(2).tokens == node.client(1).tokens);
  CHECK(node.client(2).usage.cached_tokens >= 976);
  CHECK(node.metric("prompt-tokens-computed", "prefill") - computed <= 24);
  CHECK(node.transport()->bytes_moved() - moved <= 2 * node.executor(0).info().groups[0].block_bytes);
}
