// SPDX-License-Identifier: Apache-2.0
#include "actors/node/plain_plane.hpp"

#include <sys/socket.h>

#include <string>
#include <utility>

#include <caf/io/basp/header.hpp>
#include <caf/io/basp_broker.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/middleman_actor_impl.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/io/network/doorman_impl.hpp>
#include <caf/io/network/interfaces.hpp>
#include <caf/io/network/scribe_impl.hpp>

#include "actors/security/strangers.hpp"

namespace troupe {

namespace {

namespace io = caf::io;
using multiplexer = io::network::default_multiplexer;
using io::network::native_socket;

/// A greeting has names, ids and the port's interface.
constexpr std::size_t greeting_bytes_max = 64 * 1024;

/// One connection. All functions run on the thread of CAF's network.
///
///   header of a greeting ──▶ its body ──▶ known
///
class connection : public io::network::scribe_impl {
public:
  enum class origin { accepted, made };

  connection(multiplexer& loop, native_socket fd, origin from)
    : scribe_impl(loop, fd), awaited_(from == origin::made ? stage::nothing : stage::header),
      address_(address_behind(fd)) {
    if (from == origin::accepted)
      strangers::enter(this, fd);
  }

  ~connection() override { strangers::leave(this); }

  /// The broker asks for as many bytes as the other side has announced.
  void configure_read(io::receive_policy::config wanted) override {
    if (wanted.second > (is_known() ? plain_message_bytes_max : greeting_bytes_max)) {
      refuse("it announced a message of " + std::to_string(wanted.second) + " bytes");
      wanted.second = io::basp::header_size;
    }
    scribe_impl::configure_read(wanted);
  }

  bool consume(caf::execution_unit* context, const void* data, std::size_t bytes) override {
    if (awaited_ == stage::header && !is_refused_ && !begins_greeting(data))
      refuse("it is not a node");
    if (is_refused_)
      return true; // the loop reads the end next, and tells the broker
    auto goes_on = scribe_impl::consume(context, data, bytes);
    if (goes_on && !is_refused_ && !is_known())
      advance();
    return goes_on;
  }

  /// The broker has had enough.
  void graceful_shutdown() override {
    if (!is_known() && !is_refused_)
      refuse("its greeting is wrong");
    scribe_impl::graceful_shutdown();
  }

protected:
  /// The other side, or the network, has ended it.
  caf::message detach_message() override {
    if (strangers::leave(this)) // else refused or shown out
      refuse("it went away without a greeting");
    return scribe_impl::detach_message();
  }

private:
  enum class stage { header, body, nothing };

  bool is_known() const { return awaited_ == stage::nothing; }

  static bool begins_greeting(const void* data) {
    return *static_cast<const std::uint8_t*>(data)
           == static_cast<std::uint8_t>(io::basp::message_type::client_handshake);
  }

  void advance() {
    awaited_ = awaited_ == stage::header ? stage::body : stage::nothing;
    if (is_known())
      strangers::leave(this);
  }

  void refuse(const std::string& why) {
    is_refused_ = true;
    strangers::leave(this);
    log_stranger("cluster", "a connection was refused", address_, why);
    ::shutdown(stream_.fd(), SHUT_RDWR);
  }

  stage awaited_;
  /// A peer that has gone away has no address any more.
  const std::string address_;
  bool is_refused_ = false;
};

class listener : public io::network::doorman_impl {
public:
  using doorman_impl::doorman_impl;

  bool new_connection() override {
    if (detached())
      return false;
    auto& loop = acceptor_.backend();
    auto fd = acceptor_.accepted_socket();
    io::network::keepalive(fd, true);
    auto accepted = caf::make_counted<connection>(loop, fd, connection::origin::accepted);
    auto handle = accepted->hdl();
    parent()->add_scribe(std::move(accepted));
    return doorman::new_connection(&loop, handle);
  }
};

class plain_plane : public io::middleman_actor_impl {
public:
  using middleman_actor_impl::middleman_actor_impl;

  const char* name() const override { return "troupe.plain-plane"; }

protected:
  caf::expected<io::scribe_ptr> connect(const std::string& host, std::uint16_t port) override {
    auto fd = io::network::new_tcp_connection(host, port);
    if (!fd)
      return std::move(fd.error());
    io::network::keepalive(*fd, true);
    return caf::make_counted<connection>(loop(), *fd, connection::origin::made);
  }

  caf::expected<io::doorman_ptr> open(std::uint16_t port, const char* address, bool reuse) override {
    auto fd = io::network::new_tcp_acceptor_impl(port, address, reuse);
    if (!fd)
      return std::move(fd.error());
    return caf::make_counted<listener>(loop(), *fd);
  }

private:
  multiplexer& loop() { return static_cast<multiplexer&>(system().middleman().backend()); }
};

} // namespace

caf::io::middleman_actor spawn_plain_plane(caf::actor_system& system) {
  // The broker that CAF's own planes share, too: one routing table for all links.
  auto broker = system.middleman().named_broker<io::basp_broker>("BASP");
  return system.spawn<plain_plane, caf::detached + caf::hidden>(std::move(broker));
}

} // namespace troupe
