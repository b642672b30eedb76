// SPDX-License-Identifier: Apache-2.0
// A model with a sliding cache group: a window of 40 tokens over blocks of 16, so that a token sees three or four. The
// mock executor fails a step if a byte that it sees in either group is not what the sequence's tokens say.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tests/support/scenario.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

const std::string prefill_1 = "troupe.prefill-worker/1";
const std::string decode_1 = "troupe.decode-worker/1";
constexpr std::uint32_t window = 40;
/// What a sequence may always have: see window_share().
constexpr std::uint32_t share = 4;

} // namespace

TEST_CASE("a prompt that crosses gives the same text where a part of the layers sees a window") {
  for (std::uint32_t prompt : {1u, 15u, 16u, 17u, 39u, 40u, 41u, 55u, 56u, 57u, 100u, 500u}) {
    CAPTURE(prompt);
    scenario node{{.window_tokens = window}};
    node.start(scenario::make_request(1, prompt, 60));
    node.settle();
    CHECK(node.client(1).tokens == aggregated_text(prompt, 60));
    CHECK(node.metric("prompt-tokens-computed", "decode") == 0);
    CHECK(node.metric("prompt-tokens-computed", "prefill") == prompt);
    CHECK(node.metric("kv-landings-completed", "decode") == 1);
    check_all_free(node, prefill_1);
    check_all_free(node, decode_1);
    // All blocks of the full group, and of the sliding one those that the first token after the prompt sees.
    const auto blocks = (prompt + 15) / 16;
    const auto windows = blocks - std::min(blocks, prompt < window ? 0 : (prompt + 1 - window) / 16);
    CHECK(node.metric("kv-blocks-received", "decode") == blocks + windows);
    const auto& groups = node.executor(0).info().groups;
    CHECK(node.transport()->bytes_moved() == blocks * groups[0].block_bytes + windows * groups[1].block_bytes);
  }
}

TEST_CASE("a flipped byte in either group is a counted miss and changes no text") {
  const auto right = aggregated_text(100);
  struct flip {
    std::uint64_t write;
    std::uint32_t computed;
  };
  // Writes 0 to 3 and 5 to 7 are blocks 0 to 6 of the full group; 4 and 8 to 10 are blocks 3 to 6 of the sliding one.
  // A valid prefix counts if what its next token sees has landed or was there: from block 6 on that is blocks 3 to 5.
  for (const auto& [write, computed] : {flip{1, 100}, flip{4, 100}, flip{8, 100}, flip{10, 4}, flip{7, 4}}) {
    CAPTURE(write);
    scenario node{{.faults = {.seed = write + 1, .flip = {write}}, .window_tokens = window}};
    node.start(scenario::make_request(1, 100));
    node.settle();
    CHECK(node.transport()->flips() == 1);
    CHECK(node.metric("kv-checksum-misses", "decode") == 1);
    CHECK(node.metric("kv-landings-broken", "decode") == 1);
    CHECK(node.metric("prompt-tokens-computed", "decode") == computed);
    CHECK(node.client(1).tokens == right);
    check_all_free(node, decode_1);
  }
}

TEST_CASE("nothing is decoded before the last block of each group is there") {
  for (std::uint64_t write : {7u, 10u}) {
    CAPTURE(write);
    scenario node{{.faults = {.hold_arrival = {write}}, .window_tokens = window}};
    node.start(scenario::make_request(1, 100));
    node.settle();
    CHECK(node.executor(1).steps_submitted() == 0);
    node.transport()->release();
    node.settle();
    CHECK(node.client(1).tokens == aggregated_text(100));
  }
}

TEST_CASE("the blocks of a broken landing are in quarantine in both groups until the fence is through") {
  scenario node{
    {.faults = {.hold_completion = {10}, .fences = fault_policy::fence_news::held}, .window_tokens = window}};
  node.start(scenario::make_request(1, 100));
  node.settle();
  node.disconnect(1);
  node.settle();
  CHECK(node.metric("kv-blocks-quarantined", "decode") == 7 + 4);
  node.transport()->release();
  node.settle();
  CHECK(node.metric("kv-blocks-quarantined", "decode") == 0);
  check_all_free(node, decode_1);
  check_all_free(node, prefill_1);
}

TEST_CASE("a prefill worker that dies in the middle of a landing changes no text") {
  scenario node{{.faults = {.hold_completion = {4}}, .window_tokens = window}};
  node.start(scenario::make_request(1, 100));
  node.settle();
  node.kill(prefill_1);
  node.transport()->release();
  node.advance(std::chrono::seconds{1});
  CHECK(node.client(1).tokens == aggregated_text(100));
  check_all_free(node, decode_1);
}

TEST_CASE("a repeated prompt travels only where it is new, in both groups") {
  scenario node{{.blocks = 256, .window_tokens = window}};
  node.start(scenario::make_request(1, 1000));
  node.settle();
  const auto moved = node.transport()->bytes_moved();
  node.start(scenario::make_request(2, 1000));
  node.settle();
  CHECK(node.client(2).tokens == node.client(1).tokens);
  CHECK(node.client(2).usage.cached_tokens == 992);
  const auto& groups = node.executor(0).info().groups;
  CHECK(node.transport()->bytes_moved() - moved == groups[0].block_bytes + groups[1].block_bytes);
}

TEST_CASE("a prefix whose window others have overwritten is computed anew, with the same text") {
  scenario node{{.prefill_workers = 0, .blocks = 256, .window_tokens = window, .window_blocks = 2 * share}};
  node.start(scenario::make_request(1, 500));
  node.settle();
  auto other = scenario::make_request(2, 300);
  other.prompt.front() = 77;
  node.start(other);
  node.settle();
  node.start(scenario::make_request(3, 500));
  node.settle();
  CHECK(node.client(3).tokens == node.client(1).tokens);
  // Its blocks of the full group are there, those of the sliding one are not.
  CHECK(node.client(3).usage.cached_tokens == 0);
  node.start(scenario::make_request(4, 500));
  node.settle();
  CHECK(node.client(4).usage.cached_tokens == 496);
  CHECK(node.client(4).tokens == node.client(1).tokens);
  check_all_free(node, decode_1);
}

TEST_CASE(
  "sequences that write over what slid out of each other's windows, preempted or not, say what they would alone") {
  for (std::uint32_t prefill_workers : {0u, 1u}) {
    CAPTURE(prefill_workers);
    scenario node{{.prefill_workers = prefill_workers,
                   .blocks = 256,
                   .running_max = 8,
                   .window_tokens = window,
                   .window_blocks = 3 * share}};
    for (std::uint64_t id = 1; id <= 8; ++id) {
      auto request = scenario::make_request(id, 10 + 3 * static_cast<std::uint32_t>(id), 120);
      request.prompt.front() = static_cast<token_id>(id);
      node.start(request);
    }
    node.advance(std::chrono::seconds{5});
    for (std::uint64_t id = 1; id <= 8; ++id) {
      scenario alone{{.prefill_workers = 0, .blocks = 256}};
      auto request = scenario::make_request(1, 10 + 3 * static_cast<std::uint32_t>(id), 120);
      request.prompt.front() = static_cast<token_id>(id);
      alone.start(request);
      alone.settle();
      CHECK(node.client(id).tokens == alone.client(1).tokens);
    }
    CHECK(node.metric("preemptions", "decode") > 0);
    check_all_free(node, decode_1);
  }
}

TEST_CASE("a client that goes away in the middle of a prompt leaves no block in either group") {
  for (std::uint32_t prefill_workers : {0u, 1u}) {
    CAPTURE(prefill_workers);
    scenario node{{.prefill_workers = prefill_workers, .window_tokens = window, .window_blocks = 3 * share}};
    node.start(scenario::make_request(1, 800));
    node.settle_steps(4);
    node.disconnect(1);
    node.advance(std::chrono::seconds{1});
    check_all_free(node, decode_1);
    node.start(scenario::make_request(2, 100));
    node.settle();
    CHECK(node.client(2).tokens == aggregated_text(100));
    check_all_free(node, decode_1);
  }
}
