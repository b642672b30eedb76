// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/http/http_server.hpp"

#include <algorithm>
#include <cassert>
#include <thread>
#include <unordered_map>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "actors/frontend/http/connection.hpp"

namespace troupe {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

/// How often deadlines are looked at, which is their precision.
constexpr std::chrono::milliseconds sweep_interval{250};
/// How often it is looked whether all output is sent.
constexpr std::chrono::milliseconds flush_interval{5};
/// Connections that are told "too many" at the same time; the rest is closed unheard.
constexpr std::size_t refused_max = 64;
constexpr std::size_t scratch_bytes = 64 * 1024;

class context_lane : public io_lane {
public:
  void post(std::function<void()> work) override { asio::post(context, std::move(work)); }
  asio::io_context context{1};
};

} // namespace

struct http_server::content : connection_owner {
  explicit content(http_server_config c) : options(std::move(c)), scratch_memory(scratch_bytes) {}

  const http_server_config& config() const override { return options; }
  http_server::callbacks& callbacks() override { return calls; }
  bool keeps_alive() const override { return accepting; }
  asio::mutable_buffer scratch() override { return asio::buffer(scratch_memory); }

  bool reserve_body(std::uint64_t bytes) override {
    // One body is always let in, so that the limit of a single one is what a lone client meets.
    if (body_bytes > 0 && bytes + body_bytes > options.bodies_bytes_max)
      return false;
    body_bytes += bytes;
    return true;
  }

  void release_body(std::uint64_t bytes) override { body_bytes -= bytes; }
  void closed(connection& c) override { connections.erase(&c); }

  expected<void, error> open();
  void accept();
  void on_accepted(tcp::socket socket);
  void sweep();
  void await_flushed(std::function<void()> done);
  void close_all();

  http_server_config options;
  http_server::callbacks calls;
  /// Outlives the thread, so that posts after the end are harmless.
  std::shared_ptr<context_lane> lane = std::make_shared<context_lane>();
  tcp::acceptor acceptor{lane->context};
  asio::steady_timer sweep_timer{lane->context};
  asio::steady_timer flush_timer{lane->context};
  asio::steady_timer accept_timer{lane->context};
  std::unordered_map<connection*, std::shared_ptr<connection>> connections;
  std::vector<char> scratch_memory;
  std::uint64_t body_bytes = 0;
  std::uint16_t port = 0;
  bool accepting = true;
  std::thread thread;
};

expected<void, error> http_server::content::open() {
  boost::system::error_code ec;
  const auto address = asio::ip::make_address(options.host, ec);
  if (ec)
    return fail(errc::invalid_config, fmt::format("'{}' is not an IP address", options.host));
  if (!address.is_loopback())
    return fail(
      errc::invalid_config,
      fmt::format("'{}' is not a loopback address, and without API keys nothing else is listened on", options.host));
  const tcp::endpoint endpoint{address, options.port};
  const auto where = fmt::format("{}:{}", options.host, options.port);
  acceptor.open(endpoint.protocol(), ec);
  if (!ec)
    acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec)
    acceptor.bind(endpoint, ec);
  if (!ec)
    acceptor.listen(1024, ec);
  if (!ec)
    port = acceptor.local_endpoint(ec).port();
  if (ec)
    return fail(errc::resource, fmt::format("cannot listen on {}: {}", where, ec.message()));
  return {};
}

void http_server::content::accept() {
  acceptor.async_accept([this](const boost::system::error_code& ec, tcp::socket socket) {
    if (ec == asio::error::operation_aborted || !accepting)
      return;
    if (!ec) {
      on_accepted(std::move(socket));
      return accept();
    }
    // Out of file descriptors, most likely: the next attempt would fail at once again.
    accept_timer.expires_after(std::chrono::milliseconds{100});
    accept_timer.async_wait([this](const boost::system::error_code& stopped) {
      if (!stopped)
        accept();
    });
  });
}

void http_server::content::on_accepted(tcp::socket socket) {
  boost::system::error_code ec;
  socket.non_blocking(true, ec);
  if (!ec)
    socket.set_option(tcp::no_delay(true), ec);
  if (!ec)
    socket.set_option(asio::socket_base::send_buffer_size(static_cast<int>(options.send_buffer_bytes)), ec);
  const bool full = connections.size() >= options.connections_max;
  if (ec || connections.size() >= options.connections_max + refused_max)
    return;
  auto c = std::make_shared<connection>(*this, std::move(socket));
  connections.emplace(c.get(), c);
  if (full)
    c->start_refused();
  else
    c->start();
}

void http_server::content::sweep() {
  sweep_timer.expires_after(sweep_interval);
  sweep_timer.async_wait([this](const boost::system::error_code& stopped) {
    if (stopped)
      return;
    const auto now = connection::clock::now();
    // A copy of the pointers: checks may close, and closing erases.
    std::vector<std::shared_ptr<connection>> all;
    all.reserve(connections.size());
    for (auto& entry : connections)
      all.push_back(entry.second);
    for (auto& c : all)
      c->check_deadlines(now);
    sweep();
  });
}

void http_server::content::await_flushed(std::function<void()> done) {
  if (std::ranges::none_of(connections, [](const auto& entry) { return entry.second->queued() > 0; }))
    return done();
  flush_timer.expires_after(flush_interval);
  flush_timer.async_wait([this, done = std::move(done)](const boost::system::error_code& stopped) {
    if (!stopped)
      await_flushed(done);
  });
}

void http_server::content::close_all() {
  accepting = false;
  boost::system::error_code ignored;
  acceptor.close(ignored);
  if (calls.on_stop)
    calls.on_stop();
  std::vector<std::shared_ptr<connection>> all;
  for (auto& entry : connections)
    all.push_back(entry.second);
  for (auto& c : all)
    c->abandon();
  sweep_timer.cancel();
  flush_timer.cancel();
  accept_timer.cancel();
  lane->context.stop();
}

expected<std::unique_ptr<http_server>, error> http_server::listen(const http_server_config& config) {
  auto content = std::make_shared<http_server::content>(config);
  if (auto opened = content->open(); !opened)
    return unexpected{opened.error()};
  return std::unique_ptr<http_server>{new http_server(std::move(content))};
}

http_server::http_server(std::shared_ptr<content> c) : content_(std::move(c)) {}

http_server::~http_server() { stop(); }

std::uint16_t http_server::port() const { return content_->port; }

std::shared_ptr<io_lane> http_server::lane() const { return content_->lane; }

void http_server::run(callbacks calls) {
  assert(!content_->thread.joinable());
  content_->calls = std::move(calls);
  content_->thread = std::thread([c = content_.get()] {
    c->accept();
    c->sweep();
    c->lane->context.run();
  });
}

void http_server::stop_accepting() {
  content_->accepting = false;
  boost::system::error_code ignored;
  content_->acceptor.close(ignored);
}

void http_server::await_flushed(std::function<void()> done) { content_->await_flushed(std::move(done)); }

void http_server::stop() {
  if (!content_->thread.joinable())
    return;
  content_->lane->post([c = content_.get()] { c->close_all(); });
  content_->thread.join();
  // What was posted meanwhile runs here, so that nothing stays behind that keeps its own lane alive.
  content_->lane->context.restart();
  content_->lane->context.poll();
  content_->calls = {};
}

} // namespace troupe
