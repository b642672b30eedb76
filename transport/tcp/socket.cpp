// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp/socket.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace troupe::transport {

namespace {

constexpr int waiting_connections_max = 128;

sockaddr_in to_sockaddr(tcp_address where) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(where.port);
  result.sin_addr.s_addr = htonl(where.host);
  return result;
}

std::string reason() { return std::strerror(errno); }

void set_option(const socket_handle& socket, int level, int name, int value) {
  // A kernel that refuses one of them costs speed or time, nothing else.
  ::setsockopt(socket.get(), level, name, &value, sizeof value);
}

// Frames leave at once, and a peer behind a cut link is noticed: by probes while nothing is sent, by missing
// acknowledgements otherwise.
void set_options(const socket_handle& socket, std::chrono::milliseconds silence_time_max) {
  set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, 1);
  set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, 1);
  set_option(socket, IPPROTO_TCP, TCP_KEEPCNT, 3);
  set_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(silence_time_max.count()));
}

socket_handle make_socket() { return socket_handle{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)}; }

} // namespace

socket_handle& socket_handle::operator=(socket_handle&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void socket_handle::close() {
  if (fd_ >= 0)
    ::close(std::exchange(fd_, -1));
}

expected<std::uint32_t, error> loopback_from_text(const std::string& text) {
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1)
    return fail(errc::invalid_argument, "'" + text + "' is not an IPv4 address");
  auto host = ntohl(address.s_addr);
  if (host >> 24 != 127)
    return fail(errc::invalid_argument,
                text
                  + " is not a loopback address; connections of the TCP transport carry no keys "
                    "yet and stay on the machine");
  return host;
}

std::string host_to_text(std::uint32_t host) {
  std::array<char, INET_ADDRSTRLEN> text{};
  in_addr address{htonl(host)};
  ::inet_ntop(AF_INET, &address, text.data(), text.size());
  return text.data();
}

expected<std::pair<socket_handle, std::uint16_t>, error> listen_on(tcp_address where) {
  auto refused = [&](const char* what) {
    return fail(errc::resource, std::string{what} + " " + host_to_text(where.host) + ":" + std::to_string(where.port)
                                  + ": " + reason());
  };
  auto listener = make_socket();
  if (!listener)
    return refused("no socket for");
  set_option(listener, SOL_SOCKET, SO_REUSEADDR, 1);
  auto address = to_sockaddr(where);
  socklen_t size = sizeof address;
  if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) != 0
      || ::listen(listener.get(), waiting_connections_max) != 0
      || ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return refused("cannot listen on");
  return std::pair{std::move(listener), std::uint16_t{ntohs(address.sin_port)}};
}

expected<socket_handle, error> start_connecting(tcp_address where, std::chrono::milliseconds silence_time_max) {
  auto result = make_socket();
  if (!result)
    return fail(errc::resource, "no socket: " + reason());
  set_options(result, silence_time_max);
  auto address = to_sockaddr(where);
  if (::connect(result.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS)
    return fail(errc::peer_gone,
                "cannot connect to " + host_to_text(where.host) + ":" + std::to_string(where.port) + ": " + reason());
  return result;
}

int connection_error(const socket_handle& socket) {
  int code = 0;
  socklen_t size = sizeof code;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &code, &size) == 0 ? code : errno;
}

expected<socket_handle, error> accept_from(const socket_handle& listener, std::chrono::milliseconds silence_time_max) {
  socket_handle result{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
  if (result) {
    set_options(result, silence_time_max);
    return result;
  }
  if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
    return fail(errc::resource, reason());
  return result; // none waits, or it is gone already
}

} // namespace troupe::transport
