// SPDX-License-Identifier: Apache-2.0
// Actors that crash while a client reads, on real threads and sockets.
#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <thread>

#include "tests/support/live_node.hpp"
#include "tests/support/stream_client.hpp"

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

const std::string prefill_1 = "troupe.prefill-worker/1";
const std::string decode_1 = "troupe.decode-worker/1";
constexpr std::uint32_t prompt_tokens = 300;
constexpr std::uint32_t output_tokens = 60;

std::string body() { return stream_body(7, prompt_tokens, output_tokens); }

std::string undisturbed_text() {
  live_node node{{}};
  stream_client client{node.port(), body()};
  REQUIRE(client.read_to_end());
  REQUIRE(client.text().size() == output_tokens);
  return client.text();
}

/// The node serves as if nothing had been, and holds nothing of what was.
void check_recovered(live_node& node, const std::string& right) {
  CHECK(node.wait_until_healthy());
  stream_client next{node.port(), body()};
  CHECK(next.read_to_end());
  CHECK(next.text() == right);
  CHECK(next.failure() == "");
  CHECK(node.wait_until_idle());
  CHECK_FALSE(node.gave_up());
}

struct fault {
  const char* what;
  std::function<void(live_node&)> strike;
};

} // namespace

TEST_CASE("an actor that crashes while a client reads is restarted, and the text goes on unchanged") {
  const auto right = undisturbed_text();
  const fault faults[] = {
    {"router", [](live_node& n) { n.kill(local_services::router); }},
    {"directory", [](live_node& n) { n.kill(local_services::directory); }},
    {"prefill worker", [](live_node& n) { n.kill(prefill_1); }},
    {"decode worker", [](live_node& n) { n.kill(decode_1); }},
    {"transport endpoint", [](live_node& n) { n.kill(local_services::transport_endpoint); }},
    {"prefill device",
     [](live_node& n) {
       if (auto e = n.executor(0))
         e->lose_device();
     }},
    {"decode device",
     [](live_node& n) {
       if (auto e = n.executor(1))
         e->lose_device();
     }},
  };
  // Text that the client has when it strikes: none (the prompt is being computed), the hand-over's, more.
  for (std::size_t seen : {0u, 1u, 20u})
    for (const auto& f : faults) {
      CAPTURE(seen);
      CAPTURE(f.what);
      live_node node{{.step_time = 2ms}};
      stream_client client{node.port(), body()};
      REQUIRE(client.read_text(seen));
      f.strike(node);
      CHECK(client.read_to_end());
      CHECK(client.failure() == "");
      CHECK(client.text() == right);
      CHECK(client.finish() == "length");
      check_recovered(node, right);
    }
}

TEST_CASE("a session that crashes ends its stream with an error event and frees what it held") {
  const auto right = undisturbed_text();
  for (std::size_t seen : {1u, 20u}) {
    CAPTURE(seen);
    live_node node{{.step_time = 2ms}};
    stream_client client{node.port(), body()};
    REQUIRE(client.read_text(seen));
    node.kill_newest_session();
    CHECK(client.read_to_end()); // [DONE], not a bare close
    CHECK(client.failure() != "");
    CHECK(client.text().size() < output_tokens);
    CHECK(right.starts_with(client.text()));
    check_recovered(node, right);
  }
}

TEST_CASE("a gateway that crashes comes back at the same port, and what its clients had asked for is given up") {
  const auto right = undisturbed_text();
  live_node node{{.step_time = 2ms}};
  const auto port = node.port();
  stream_client client{port, body()};
  REQUIRE(client.read_text(5));
  node.kill(local_services::rest_gateway);
  client.read_to_end();
  CHECK(client.text().size() < output_tokens);
  check_recovered(node, right);
  CHECK(node.port() == port);
}

TEST_CASE("the fourth crash within the window ends the node") {
  live_node node{{}};
  for (int i = 0; i < 3; ++i) {
    CAPTURE(i);
    node.kill(local_services::router);
    CHECK(node.wait_until_healthy());
    stream_client client{node.port(), body()};
    CHECK(client.read_to_end());
    CHECK(client.text().size() == output_tokens);
    CHECK_FALSE(node.gave_up());
  }
  node.kill(local_services::router);
  for (int i = 0; i < 1000 && !node.gave_up(); ++i)
    std::this_thread::sleep_for(10ms);
  CHECK(node.gave_up());
}
