// SPDX-License-Identifier: Apache-2.0
#include "tests/support/raw_http_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace troupe::test {

raw_http_client::raw_http_client(std::uint16_t port, int receive_buffer_bytes) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer_bytes > 0)
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
    close();
}

raw_http_client::~raw_http_client() { close(); }

void raw_http_client::close() {
  if (fd_ >= 0)
    ::close(fd_);
  fd_ = -1;
}

void raw_http_client::close_with_reset() {
  linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

void raw_http_client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0)
      return; // the peer has closed: the test sees that when it reads
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::string raw_http_client::receive_some(std::chrono::milliseconds time) {
  pollfd p{fd_, POLLIN, 0};
  if (ended_ || ::poll(&p, 1, static_cast<int>(time.count())) <= 0)
    return {};
  char buffer[65536];
  const auto n = ::recv(fd_, buffer, sizeof buffer, 0);
  if (n <= 0) {
    ended_ = true;
    return {};
  }
  return {buffer, static_cast<std::size_t>(n)};
}

const std::string& raw_http_client::receive_until(std::string_view text, std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (!ended_ && received_.find(text) == std::string::npos) {
    const auto left = until - std::chrono::steady_clock::now();
    if (left <= left.zero())
      break;
    received_ += receive_some(std::chrono::ceil<std::chrono::milliseconds>(left));
  }
  return received_;
}

const std::string& raw_http_client::receive_all(std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (!ended_ && std::chrono::steady_clock::now() < until)
    received_ += receive_some(std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()));
  return received_;
}

raw_http_client::answer raw_http_client::receive_answer() {
  answer out;
  receive_until("\r\n\r\n");
  const auto head_end = received_.find("\r\n\r\n");
  if (head_end == std::string::npos)
    return out;
  out.head = received_.substr(0, head_end + 4);
  received_.erase(0, head_end + 4);
  out.status = out.head.size() > 12 ? std::atoi(out.head.c_str() + 9) : 0;
  if (const auto at = out.head.find("Content-Length: "); at != std::string::npos) {
    const auto length = static_cast<std::size_t>(std::atoll(out.head.c_str() + at + 16));
    while (received_.size() < length && !ended_)
      received_ += receive_some();
    out.body = received_.substr(0, length);
    received_.erase(0, length);
    return out;
  }
  receive_until("0\r\n\r\n");
  const auto end = received_.find("0\r\n\r\n");
  const auto size = end == std::string::npos ? received_.size() : end + 5;
  out.body = without_chunks(std::string_view{received_}.substr(0, size));
  received_.erase(0, size);
  return out;
}

std::string get(std::string_view path) { return "GET " + std::string{path} + " HTTP/1.1\r\nHost: test\r\n\r\n"; }

std::string post(std::string_view path, std::string_view body, std::string_view more_headers) {
  return "POST " + std::string{path} + " HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
         + std::string{more_headers} + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n"
         + std::string{body};
}

std::string without_chunks(std::string_view body) {
  std::string out;
  while (!body.empty()) {
    const auto line = body.find("\r\n");
    if (line == std::string_view::npos)
      break;
    const auto size = static_cast<std::size_t>(std::strtoull(std::string{body.substr(0, line)}.c_str(), nullptr, 16));
    if (size == 0)
      break;
    out += body.substr(line + 2, size);
    body.remove_prefix(std::min(body.size(), line + 2 + size + 2));
  }
  return out;
}

} // namespace troupe::test
