// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/chat/http_client.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <cstring>
#include <memory>

#include "apps/troupe/chat/wait.hpp"

namespace troupe::chat {

namespace {

namespace http = boost::beast::http;

constexpr std::uint32_t header_bytes_max = 64 << 10;
constexpr std::uint64_t body_bytes_max = 256ULL << 20;

unexpected<http_error> fail(http_errc code, std::string context) { return {http_error{code, std::move(context)}}; }

class socket_handle {
public:
  explicit socket_handle(int fd) : fd_(fd) {}
  ~socket_handle() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  socket_handle(socket_handle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  socket_handle& operator=(socket_handle&&) = delete;
  int get() const { return fd_; }

private:
  int fd_;
};

deadline after(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

// `what` completes the sentence where the wait did not end with readiness.
expected<void, http_error> await(int fd, direction way, int interrupt_fd, deadline when, const std::string& what) {
  switch (wait_for(fd, way, interrupt_fd, when)) {
    case wake::ready: return {};
    case wake::interrupted: return fail(http_errc::interrupted, "interrupted");
    case wake::timed_out: return fail(http_errc::timed_out, "no " + what + " in time");
    case wake::failed: return fail(http_errc::broken, std::strerror(errno));
  }
  return fail(http_errc::broken, what);
}

expected<socket_handle, http_error> connect_to(const addrinfo& address, int interrupt_fd, deadline when) {
  socket_handle socket{::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol)};
  if (socket.get() < 0)
    return fail(http_errc::unreachable, std::strerror(errno));
  if (::connect(socket.get(), address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS)
      return fail(http_errc::unreachable, std::strerror(errno));
    if (auto ready = await(socket.get(), direction::write, interrupt_fd, when, "connection"); !ready)
      return unexpected{ready.error()};
    int code = 0;
    socklen_t size = sizeof(code);
    ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &code, &size);
    if (code != 0)
      return fail(http_errc::unreachable, std::strerror(code));
  }
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return socket;
}

expected<socket_handle, http_error> open_connection(const url& server, int interrupt_fd, deadline when) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(server.host.c_str(), server.port.c_str(), &hints, &found); code != 0)
    return fail(http_errc::unreachable, ::gai_strerror(code));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses{found, &::freeaddrinfo};
  auto last = fail(http_errc::unreachable, "no address");
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    auto socket = connect_to(*each, interrupt_fd, when);
    if (socket || socket.error().code == http_errc::interrupted)
      return socket;
    last.error = std::move(socket.error());
  }
  return last;
}

std::string head_of(const url& server, const http_request& request) {
  std::string result =
    request.method + " " + request.target + " HTTP/1.1\r\nHost: " + authority(server)
    + "\r\nUser-Agent: troupe\r\nAccept: application/json, text/event-stream\r\nConnection: close\r\n";
  if (!request.body.empty())
    result += "Content-Type: application/json\r\nContent-Length: " + std::to_string(request.body.size()) + "\r\n";
  return result + "\r\n";
}

expected<void, http_error> send_all(int fd, std::string_view bytes, int interrupt_fd, std::chrono::milliseconds idle) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (auto ready = await(fd, direction::write, interrupt_fd, after(idle), "progress in sending"); !ready)
        return ready;
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return {}; // the server has answered early: what it said may still be read
    } else if (errno != EINTR) {
      return fail(http_errc::broken, std::strerror(errno));
    }
  }
  return {};
}

/// Beast's parser over bytes that come in any pieces.
class response {
public:
  response() {
    parser_.eager(true);
    parser_.header_limit(header_bytes_max);
    parser_.body_limit(body_bytes_max);
  }

  expected<void, http_error> put(std::string_view bytes, const body_receiver& receiver) {
    pending_ += bytes;
    boost::beast::error_code code;
    std::string_view rest = pending_;
    while (!rest.empty() && !parser_.is_done() && !code)
      rest.remove_prefix(parser_.put(boost::asio::const_buffer{rest.data(), rest.size()}, code));
    pending_.erase(0, pending_.size() - rest.size());
    // need_more: the rest is part of a header or chunk, and stays for the next piece.
    if (code && code != http::error::need_more)
      return give_up(code);
    return pass_on(receiver);
  }

  /// The server closed the connection.
  expected<void, http_error> put_end(const body_receiver& receiver) {
    boost::beast::error_code code;
    if (!parser_.got_some())
      return fail(http_errc::broken, "the server closed the connection without an answer");
    parser_.put_eof(code);
    if (code)
      return fail(http_errc::broken, "the server closed the connection in the middle of the answer");
    return pass_on(receiver);
  }

  bool done() const { return parser_.is_done(); }
  http_status status() const { return {static_cast<int>(parser_.get().result_int())}; }

private:
  static unexpected<http_error> give_up(const boost::beast::error_code& code) {
    const bool size = code == http::error::header_limit || code == http::error::body_limit;
    return fail(size ? http_errc::too_large : http_errc::broken, "not a response that can be read: " + code.message());
  }

  expected<void, http_error> pass_on(const body_receiver& receiver) {
    std::string& body = parser_.get().body();
    if (body.empty())
      return {};
    const bool more = receiver(status(), body);
    body.clear();
    if (more)
      return {};
    return fail(http_errc::refused, "the answer is not wanted");
  }

  http::response_parser<http::string_body> parser_;
  std::string pending_;
};

expected<http_status, http_error> receive(int fd, int interrupt_fd, std::chrono::milliseconds idle,
                                          const body_receiver& receiver) {
  response response;
  while (!response.done()) {
    if (auto ready = await(fd, direction::read, interrupt_fd, after(idle), "answer"); !ready)
      return unexpected{ready.error()};
    std::array<char, 16'384> bytes;
    const auto got = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
      continue;
    if (got < 0)
      return fail(http_errc::broken, std::strerror(errno));
    auto taken =
      got == 0 ? response.put_end(receiver) : response.put({bytes.data(), static_cast<std::size_t>(got)}, receiver);
    if (!taken)
      return unexpected{taken.error()};
    if (got == 0)
      break;
  }
  return response.status();
}

} // namespace

expected<http_status, http_error> exchange(const url& server, const http_request& request, int interrupt_fd,
                                           const body_receiver& receiver, http_timeouts timeouts) {
  auto socket = open_connection(server, interrupt_fd, after(timeouts.connect));
  if (!socket)
    return unexpected{std::move(socket.error())};
  if (auto sent = send_all(socket->get(), head_of(server, request) + request.body, interrupt_fd, timeouts.idle); !sent)
    return unexpected{sent.error()};
  return receive(socket->get(), interrupt_fd, timeouts.idle, receiver);
}

} // namespace troupe::chat
