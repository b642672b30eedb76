// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/http/http_server.hpp"

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support/raw_http_client.hpp"

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

http_server_config quick() {
  http_server_config c;
  c.port = 0;
  c.header_time = 300ms;
  c.body_time = 300ms;
  c.idle_time = 400ms;
  return c;
}

/// Echoes method, path and body; "/later" is answered from another thread, "/stream" never ends by itself,
/// "/big" is four megabytes.
struct echo_server {
  explicit echo_server(http_server_config config = quick()) {
    auto listening = http_server::listen(config);
    REQUIRE(listening);
    server = std::move(*listening);
    server->run({[this](std::shared_ptr<http_exchange> e) { handle(std::move(e)); }, {}, [this] { streams.clear(); }});
  }

  void handle(std::shared_ptr<http_exchange> e) {
    const auto& r = e->request();
    http_response out;
    out.content_type = "text/plain";
    if (r.path == "/later") {
      std::thread([lane = server->lane(), e, body = r.body] {
        lane->post([e, body] { e->respond({200, "text/plain", "later:" + body, {}}); });
      }).detach();
      return;
    }
    if (r.path == "/stream") {
      e->on_abandoned([this] { abandoned.set_value(); });
      e->begin_events({});
      e->write_event("data: 1\n\n");
      e->flush();
      streams.push_back(std::move(e));
      return;
    }
    out.body = r.path == "/big" ? std::string(4 << 20, 'b')
                                : (r.method == http_method::post ? "POST " : "GET ") + r.path + " " + r.body;
    e->respond(std::move(out));
  }

  std::promise<void> abandoned;
  std::vector<std::shared_ptr<http_exchange>> streams;
  std::unique_ptr<http_server> server;
};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

/// Sends the bytes; the status of the answer, 0 if there is none. The server must close afterwards.
int status_and_close(std::uint16_t port, std::string_view bytes) {
  raw_http_client client{port};
  client.send(bytes);
  const auto all = client.receive_all(3s);
  CHECK(client.ended());
  return all.size() > 12 ? std::atoi(all.c_str() + 9) : 0;
}

} // namespace

TEST_CASE("requests on one connection are answered in order, whether sent one by one or at once") {
  echo_server s;
  raw_http_client client{s.server->port()};
  client.send(get("/a") + post("/later", "x") + get("/b?query=1") + post("/c", "body"));
  CHECK(client.receive_answer().body == "GET /a ");
  CHECK(client.receive_answer().body == "later:x");
  CHECK(client.receive_answer().body == "GET /b ");
  CHECK(client.receive_answer().body == "POST /c body");
  client.send(get("/d"));
  CHECK(client.receive_answer().body == "GET /d ");
}

TEST_CASE("a request may arrive byte by byte") {
  echo_server s;
  raw_http_client client{s.server->port()};
  for (char c : post("/c", "body"))
    client.send({&c, 1});
  CHECK(client.receive_answer().body == "POST /c body");
}

TEST_CASE("chunked bodies are put together") {
  echo_server s;
  raw_http_client client{s.server->port()};
  client.send("POST /c HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n");
  client.send("2;ext=1\r\ndy\r\n0\r\nTrailer: x\r\n\r\n" + get("/d"));
  CHECK(client.receive_answer().body == "POST /c body");
  CHECK(client.receive_answer().body == "GET /d ");
}

TEST_CASE("HEAD has the headers of GET and no body") {
  echo_server s;
  raw_http_client client{s.server->port()};
  client.send("HEAD /a HTTP/1.1\r\nHost: t\r\n\r\n" + get("/b"));
  const auto& all = client.receive_until("GET /b");
  CHECK(contains(all, "Content-Length: 7\r\n\r\nHTTP/1.1 200 OK"));
}

TEST_CASE("100-continue is answered before the body") {
  echo_server s;
  raw_http_client client{s.server->port()};
  client.send("POST /c HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  CHECK(client.receive_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("body");
  CHECK(contains(client.receive_until("POST /c body"), "200 OK"));
}

TEST_CASE("HTTP/1.0 closes after its answer unless it asks not to") {
  echo_server s;
  CHECK(status_and_close(s.server->port(), "GET /a HTTP/1.0\r\n\r\n") == 200);
  raw_http_client client{s.server->port()};
  client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(contains(client.receive_answer().head, "Connection: keep-alive"));
  client.send("GET /a HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
  CHECK(contains(client.receive_all(2s), "Connection: close"));
  CHECK(client.ended());
}

TEST_CASE("malformed and oversized requests are refused, and the connection closed") {
  echo_server s;
  const auto port = s.server->port();
  struct row {
    std::string request;
    int status;
  };
  const std::string line = "GET / HTTP/1.1\r\n";
  std::string many = line + "Host: t\r\n";
  for (int i = 0; i < 100; ++i)
    many += "x" + std::to_string(i) + ": 1\r\n";
  const row rows[] = {
    {"nonsense\r\n\r\n", 400},
    {"GET  / HTTP/1.1\r\nHost: t\r\n\r\n", 400},
    {"GET / HTTP/2.0\r\nHost: t\r\n\r\n", 505},
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {line + "Host: a\r\nHost: b\r\n\r\n", 400},
    {line + "Host: t\r\nbad header\r\n\r\n", 400},
    {line + "Host : t\r\n\r\n", 400},
    {line + "Host: t\nX: y\r\n\r\n", 400},
    {line + "Host: t\r\nContent-Length: x\r\n\r\n", 400},
    {line + "Host: t\r\nContent-Length: -1\r\n\r\n", 400},
    {line + "Host: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", 400},
    {line + "Host: t\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {line + "Host: t\r\nTransfer-Encoding: gzip\r\n\r\n", 400},
    {line + "Host: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
    {line + "Host: t\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\na", 417},
    {line + "Host: t\r\nContent-Length: 8388609\r\n\r\n", 413},
    {line + "Host: t\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400},
    {line + "Host: t\r\nX: " + std::string(17 * 1024, 'x') + "\r\n\r\n", 431},
    {"GET /" + std::string(17 * 1024, 'x') + " HTTP/1.1\r\nHost: t\r\n\r\n", 431},
    {many + "\r\n", 431},
    {line + "Host: t\r\nTransfer-Encoding: chunked\r\n\r\n900000\r\n" + std::string(100, 'x'), 413},
  };
  for (const auto& r : rows) {
    CAPTURE(r.request.substr(0, 100));
    CHECK(status_and_close(port, r.request) == r.status);
  }
  // And the next client is served.
  raw_http_client client{port};
  client.send(get("/a"));
  CHECK(client.receive_answer().status == 200);
}

TEST_CASE("what arrives too slowly is ended: headers and bodies with 408, idle connections silently") {
  echo_server s;
  const auto port = s.server->port();
  CHECK(status_and_close(port, "GET / HTTP/1.1\r\nHo") == 408);
  CHECK(status_and_close(port, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nab") == 408);
  CHECK(status_and_close(port, "") == 0);
  raw_http_client idle{port};
  idle.send(get("/a"));
  CHECK(idle.receive_answer().status == 200);
  CHECK(idle.receive_all(3s).empty());
  CHECK(idle.ended());
}

TEST_CASE("a client that leaves in mid-stream is noticed without a write") {
  echo_server s;
  auto gone = s.abandoned.get_future();
  {
    raw_http_client client{s.server->port()};
    client.send(get("/stream"));
    CHECK(contains(client.receive_until("data: 1"), "Transfer-Encoding: chunked"));
    CHECK(gone.wait_for(50ms) == std::future_status::timeout);
  }
  CHECK(gone.wait_for(3s) == std::future_status::ready);
}

TEST_CASE("an answer larger than the socket's buffer arrives whole, slowly read or not") {
  echo_server s;
  raw_http_client client{s.server->port(), 4096};
  client.send(get("/big") + get("/after"));
  std::this_thread::sleep_for(50ms);
  CHECK(client.receive_answer().body.size() == 4 << 20);
  CHECK(client.receive_answer().body == "GET /after ");
}

TEST_CASE("a client that reads nothing is closed after the stall time") {
  auto config = quick();
  config.write_stall_time = 300ms;
  echo_server s{config};
  raw_http_client client{s.server->port(), 4096};
  client.send(get("/big"));
  std::this_thread::sleep_for(900ms);
  client.receive_all(3s);
  CHECK(client.ended());
}

TEST_CASE("many pipelined requests are all answered") {
  echo_server s;
  raw_http_client client{s.server->port()};
  std::string all;
  constexpr int count = 3000;
  for (int i = 0; i < count; ++i)
    all += get("/" + std::to_string(i));
  std::thread sender{[&] { client.send(all); }};
  int right = 0;
  for (int i = 0; i < count; ++i)
    right += client.receive_answer().body == "GET /" + std::to_string(i) + " ";
  sender.join();
  CHECK(right == count);
}

TEST_CASE("one connection too many is told so") {
  auto config = quick();
  config.connections_max = 1;
  config.idle_time = 60s;
  echo_server s{config};
  raw_http_client first{s.server->port()};
  first.send(get("/a"));
  CHECK(first.receive_answer().status == 200);
  CHECK(status_and_close(s.server->port(), "") == 503);
  first.send(get("/a"));
  CHECK(first.receive_answer().status == 200);
}

TEST_CASE("only loopback addresses are listened on") {
  http_server_config config;
  config.host = "0.0.0.0";
  auto wrong = http_server::listen(config);
  REQUIRE(!wrong);
  CHECK(wrong.error().code == errc::invalid_config);
  config.host = "localhost"; // a name, which somebody else's resolver would decide about
  wrong = http_server::listen(config);
  CHECK(!wrong);
}
