// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "transport/errc.hpp"

// The sockets of TCP back ends: IPv4, none of them ever blocks.
namespace troupe::transport {

/// Owns a descriptor.
class socket_handle {
public:
  socket_handle() = default;
  explicit socket_handle(int fd) : fd_(fd) {}
  socket_handle(socket_handle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  socket_handle& operator=(socket_handle&& other) noexcept;
  ~socket_handle() { close(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void close();

private:
  int fd_ = -1;
};

/// Both in host order.
struct tcp_address {
  std::uint32_t host = 0;
  std::uint16_t port = 0;
};

/// errc::invalid_argument for anything but 127.x.y.z: connections carry no keys yet, so they stay on the machine.
expected<std::uint32_t, error> loopback_from_text(const std::string&);
std::string host_to_text(std::uint32_t host);

/// A socket that listens, and where: the port is drawn if it was 0.
expected<std::pair<socket_handle, std::uint16_t>, error> listen_on(tcp_address);

/// A socket that is being connected: it becomes writable, and connection_error says how that went.
expected<socket_handle, error> start_connecting(tcp_address, std::chrono::milliseconds silence_time_max);
/// errno of a connection attempt that has ended; 0: it is connected.
int connection_error(const socket_handle&);

/// Takes a connection. No handle: none waits. errc::resource: the process has no descriptor for it.
expected<socket_handle, error> accept_from(const socket_handle& listener, std::chrono::milliseconds silence_time_max);

} // namespace troupe::transport
