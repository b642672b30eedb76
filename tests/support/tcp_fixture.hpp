// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/transport_fixture.hpp"
#include "transport/tcp/tcp_backend.hpp"

namespace troupe::test {

inline std::unique_ptr<transport::tcp_backend> make_tcp(transport::tcp_config config = {}) {
  return std::move(transport::tcp_backend::make(next_peer(), std::move(config))).value();
}

/// A TCP back end with memory of its own, registered.
struct tcp_endpoint {
  std::vector<std::byte> memory;
  std::unique_ptr<transport::tcp_backend> bytes;
  region_id region;

  explicit tcp_endpoint(std::size_t size, const transport::tcp_config& config = {})
    : memory(size), bytes(make_tcp(config)), region(*bytes->add_region({memory.data(), size})) {}

  /// Lets `writer` write into this one's memory.
  transport::remote_region open_to(tcp_endpoint& writer) {
    return *writer.bytes->import(bytes->self(), *bytes->describe(region, writer.bytes->self()));
  }

  expected<transport::ticket, transport::error> write(transport::run from, transport::remote_region target,
                                                      transport::run to, std::string_view note = {},
                                                      transport::steady_time deadline = soon()) {
    return bytes->write(region, std::span{&from, 1}, target, std::span{&to, 1}, std::as_bytes(std::span{note}),
                        deadline);
  }
};

/// Two endpoints of one process; `there` lets `here` write.
struct tcp_pair {
  tcp_endpoint here;
  tcp_endpoint there;
  transport::remote_region target = there.open_to(here);

  explicit tcp_pair(std::size_t size, const transport::tcp_config& config = {})
    : here(size, config), there(size, config) {}

  expected<transport::ticket, transport::error>
  write(transport::run from, transport::run to, std::string_view note = {}, transport::steady_time deadline = soon()) {
    return here.write(from, target, to, note, deadline);
  }
  /// The result of the next operation of `here` that completes.
  transport::errc result() {
    auto all = await_news(*here.bytes, 1, 0).completions;
    return all.empty() ? transport::errc::resource : all.front().result;
  }
};

/// A socket of a stranger, or of a peer that stops where the test wants it to.
class raw_peer {
public:
  explicit raw_peer(transport::tcp_address where) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(where.port);
    address.sin_addr.s_addr = htonl(where.host);
    connected_ = ::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  raw_peer(transport::tcp_address where, transport::peer_id self, transport::peer_id owner) : raw_peer(where) {
    send(transport::encode(transport::hello{.from = self, .to = owner}));
  }

  bool connected() const { return connected_; }
  /// False if the other side has closed.
  bool send(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      auto sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0)
        return false;
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
    return true;
  }
  /// As many bytes as came within 10 s, before the end.
  std::vector<std::byte> receive(std::size_t bytes) {
    std::vector<std::byte> result(bytes);
    std::size_t have = 0;
    while (have < bytes) {
      pollfd fd{socket_.get(), POLLIN, 0};
      if (::poll(&fd, 1, 10'000) != 1)
        break;
      auto got = ::recv(socket_.get(), result.data() + have, bytes - have, 0);
      if (got <= 0)
        break;
      have += static_cast<std::size_t>(got);
    }
    result.resize(have);
    return result;
  }
  expected<transport::hello, transport::error> receive_hello() {
    auto bytes = receive(transport::frame_bytes);
    if (bytes.size() != transport::frame_bytes)
      return transport::fail(transport::errc::closed, "no hello");
    return transport::decode_hello(std::span{bytes}.first<transport::frame_bytes>());
  }
  expected<transport::frame, transport::error> receive_frame() {
    auto bytes = receive(transport::frame_bytes);
    if (bytes.size() != transport::frame_bytes)
      return transport::fail(transport::errc::closed, "no frame");
    return transport::decode_frame(std::span{bytes}.first<transport::frame_bytes>());
  }
  /// Whether the other side closes within 10 s, saying nothing more.
  bool is_closed() { return receive(1).empty() && ::recv(socket_.get(), &end_, 1, MSG_DONTWAIT) <= 0 && ended(); }
  void close() { socket_.close(); }

private:
  bool ended() {
    pollfd fd{socket_.get(), POLLIN, 0};
    return ::poll(&fd, 1, 0) == 1;
  }

  transport::socket_handle socket_;
  bool connected_ = false;
  std::byte end_{};
};

/// The head of a write as a peer sends it: frame, runs, note.
inline std::vector<std::byte> raw_write(const transport::tcp_description& target, std::uint64_t number,
                                        std::span<const transport::run> runs, std::uint64_t bytes,
                                        std::string_view note = {}) {
  auto head = transport::encode(transport::frame{.kind = transport::frame_kind::write,
                                                 .note_bytes = static_cast<std::uint8_t>(note.size()),
                                                 .runs = static_cast<std::uint32_t>(runs.size()),
                                                 .number = number,
                                                 .bytes = bytes,
                                                 .region = target.region,
                                                 .token = target.token});
  std::vector<std::byte> result{head.begin(), head.end()};
  transport::append_runs(result, runs);
  auto text = std::as_bytes(std::span{note});
  result.insert(result.end(), text.begin(), text.end());
  return result;
}

/// An owner that a test plays: takes one connection and says what it likes.
struct raw_owner {
  transport::tcp_address where;
  transport::socket_handle listener;
  transport::socket_handle connection;
  transport::peer_id self = next_peer();

  raw_owner() {
    auto listening = transport::listen_on({0x7f000001, 0});
    listener = std::move(listening->first);
    where = {0x7f000001, listening->second};
  }
  transport::remote_region open_to(tcp_endpoint& writer) const {
    return *writer.bytes->import(self, transport::to_text(transport::tcp_description{self, where, {1}, {}}));
  }
  bool take() {
    pollfd fd{listener.get(), POLLIN, 0};
    if (::poll(&fd, 1, 10'000) != 1)
      return false;
    connection = transport::socket_handle{::accept(listener.get(), nullptr, nullptr)};
    return receive(transport::frame_bytes);
  }
  bool receive(std::size_t bytes) {
    std::vector<std::byte> ignored(bytes);
    return ::recv(connection.get(), ignored.data(), bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes);
  }
  /// A frame; one of kind write and number 0 at the end.
  transport::frame receive_frame() {
    transport::frame_buffer bytes{};
    auto got = ::recv(connection.get(), bytes.data(), bytes.size(), MSG_WAITALL);
    auto frame = transport::decode_frame(bytes);
    return got == static_cast<ssize_t>(bytes.size()) && frame ? *frame : transport::frame{};
  }
  void send(std::span<const std::byte> bytes) { ::send(connection.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }
};

} // namespace troupe::test
