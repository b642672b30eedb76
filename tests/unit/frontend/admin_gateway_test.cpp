// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/admin_gateway.hpp"

#include <atomic>
#include <memory>
#include <string>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <doctest/doctest.h>

#include "messages/caf_error.hpp"
#include "tests/support/frontend_fixture.hpp"
#include "tests/support/raw_http_client.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

struct admin_fixture {
  admin_fixture() {
    init_frontend_types();
    config.set("caf.logger.console.verbosity", "quiet");
    system = std::make_unique<caf::actor_system>(config);
    gateway = start(0);
    caf::scoped_actor self{*system};
    for (int i = 0; i < 1'000 && port == 0; ++i)
      self->receive(caf::after(std::chrono::milliseconds{5}) >> [] {});
  }
  ~admin_fixture() { caf::anon_send_exit(gateway, caf::exit_reason::user_shutdown); }

  admin_gateway_actor start(std::uint16_t at) {
    admin_gateway_config admin;
    admin.http.port = at;
    admin.on_listening = [this](std::uint16_t got) { port = got; };
    admin.on_drain = [this] { ++drains; };
    return spawn_admin_gateway(*system, std::move(admin));
  }

  raw_http_client::answer ask(const std::string& request) {
    raw_http_client client{port};
    client.send(request);
    return client.receive_answer();
  }

  std::atomic<std::uint16_t> port = 0;
  std::atomic<int> drains = 0;
  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
  admin_gateway_actor gateway;
};

} // namespace

TEST_CASE_FIXTURE(admin_fixture, "a drain is accepted and asked for, with and without a body") {
  REQUIRE(port != 0);
  const auto answer = ask("POST /admin/drain HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n");
  CHECK(answer.status == 202);
  CHECK(answer.body == R"({"status":"draining"})");
  CHECK(ask(post("/admin/drain", "{}")).status == 202);
  CHECK(drains == 2);
}

TEST_CASE_FIXTURE(admin_fixture, "what is not offered, or comes from a web page, is refused and drains nothing") {
  REQUIRE(port != 0);
  CHECK(ask(get("/admin/drain")).status == 405);
  CHECK(ask(post("/admin/drain", "", "Origin: null\r\n")).status == 403);
  CHECK(ask("POST /admin/drain HTTP/1.1\r\nHost: t\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n").status
        == 415);
  CHECK(ask(post("/live", "{}")).status == 405);
  CHECK(ask(get("/admin")).status == 404);
  CHECK(ask(get("/v1/models")).status == 404);
  CHECK(drains == 0);
}

TEST_CASE_FIXTURE(admin_fixture, "health says what is wrong, and that the node drains") {
  REQUIRE(port != 0);
  auto answer = ask(get("/health"));
  CHECK(answer.status == 503);
  CHECK(answer.body == R"({"status":"unavailable","workers":0,"problems":["the directory is not running"]})");
  caf::scoped_actor self{*system};
  bool done = false;
  self->request(gateway, std::chrono::seconds{5}, drain_request{std::chrono::seconds{60}})
    .receive([&] { done = true; }, [](const caf::error&) {});
  CHECK(done);
  answer = ask(get("/health"));
  CHECK(answer.body.find("the node is draining") != std::string::npos);
  CHECK(ask(get("/live")).status == 200);
  CHECK(ask(get("/metrics")).body.find("process_start_time_seconds") != std::string::npos);
}

TEST_CASE_FIXTURE(admin_fixture, "a port that is taken ends the listener with an error") {
  REQUIRE(port != 0);
  auto second = start(port);
  caf::scoped_actor self{*system};
  self->monitor(second);
  errc code = errc::none;
  self->receive([&](const caf::down_msg& down) { code = from_caf_error(down.reason).code; },
                caf::after(std::chrono::seconds{5}) >> [] {});
  CHECK(code == errc::resource);
}
