// SPDX-License-Identifier: Apache-2.0
// What arrives at the sockets of clients, on real threads: tokens come as they are drawn, streams share steps.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

#include "tests/support/live_node.hpp"
#include "tests/support/stream_client.hpp"

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t decode_place = 1;

/// Streams `count` different completions at the same time, each read by a thread of its own.
std::vector<std::unique_ptr<stream_client>> stream_together(live_node& node, std::uint32_t count,
                                                            std::uint32_t tokens) {
  const auto port = node.port();
  std::vector<std::unique_ptr<stream_client>> clients;
  for (std::uint32_t i = 0; i < count; ++i)
    clients.push_back(std::make_unique<stream_client>(port, stream_body(i, 40, tokens)));
  std::vector<std::jthread> readers;
  for (auto& client : clients)
    readers.emplace_back([&client] { client->read_to_end(); });
  return clients;
}

} // namespace

TEST_CASE("eight streams need hardly more decode steps than one, and each has text before any has ended") {
  live_node node{{.step_time = 4ms}};
  auto one = stream_together(node, 1, 128);
  REQUIRE(one[0]->text().size() == 128);
  const auto steps_of_one = node.executor(decode_place)->completed();
  CHECK(steps_of_one >= 127);

  auto eight = stream_together(node, 8, 128);
  const auto steps_of_eight = node.executor(decode_place)->completed() - steps_of_one;
  CHECK(static_cast<double>(steps_of_eight) < 1.3 * static_cast<double>(steps_of_one));
  auto last_first = eight[0]->first_text_at();
  auto first_end = eight[0]->last_text_at();
  for (auto& client : eight) {
    CHECK(client->text().size() == 128);
    CHECK(client->finish() == "length");
    last_first = std::max(last_first, client->first_text_at());
    first_end = std::min(first_end, client->last_text_at());
  }
  CHECK(last_first < first_end);
  CHECK(node.wait_until_idle());
}

TEST_CASE("a token reaches its client's socket while the next steps are held back") {
  live_node node{{.prefill_workers = 0, .decode_pace = gpu::mock::pace::gate}};
  auto executor = node.executor(0);
  stream_client client{node.port(), stream_body(1, 40, 40)};
  CHECK_FALSE(client.read_text(1, 50ms)); // the gate holds
  for (std::size_t k = 1; k <= 30; ++k) {
    CAPTURE(k);
    executor->release(1);
    REQUIRE(client.read_text(k));
    // Nothing but step k has completed: the token did not wait for what follows.
    CHECK(executor->completed() == k);
    CHECK(client.text().size() == k);
  }
  executor->release(1000);
  CHECK(client.read_to_end());
  CHECK(client.text().size() == 40);
}

TEST_CASE("a client that goes away in mid-stream holds no block, five hundred times") {
  live_node node{{}};
  const auto port = node.port();
  for (std::uint32_t i = 0; i < 500; ++i) {
    CAPTURE(i);
    stream_client client{port, stream_body(i, 20 + i % 90, 2000)};
    REQUIRE(client.read_text(1 + i % 4));
    client.close();
  }
  CHECK(node.wait_until_idle());
  stream_client next{port, stream_body(1, 40, 16)};
  CHECK(next.read_to_end());
  CHECK(next.text().size() == 16);
}

TEST_CASE("a request that has ended leaves nothing of its session behind, though its deadline is far") {
  live_node node{{}};
  stream_client whole{node.port(), stream_body(1, 40, 16)};
  CHECK(whole.read_to_end());
  CHECK(node.wait_until_newest_session_is_gone());
  stream_client cancelled{node.port(), stream_body(2, 40, 2000)};
  REQUIRE(cancelled.read_text(1));
  cancelled.close();
  CHECK(node.wait_until_newest_session_is_gone());
}
