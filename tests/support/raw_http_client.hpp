// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::test {

/// A TCP connection to 127.0.0.1 that a test speaks HTTP over by hand.
class raw_http_client {
public:
  /// `receive_buffer_bytes` of 0 leaves the system's default.
  explicit raw_http_client(std::uint16_t port, int receive_buffer_bytes = 0);
  raw_http_client(const raw_http_client&) = delete;
  raw_http_client& operator=(const raw_http_client&) = delete;
  ~raw_http_client();

  bool connected() const { return fd_ >= 0; }
  void send(std::string_view bytes);
  /// As much as arrives within the time; nothing at the end of the connection.
  std::string receive_some(std::chrono::milliseconds = std::chrono::seconds{5});
  /// What was received so far, once it contains `text`; or all, if the connection or the time ends first.
  const std::string& receive_until(std::string_view text, std::chrono::milliseconds = std::chrono::seconds{5});
  /// Everything until the peer closes.
  const std::string& receive_all(std::chrono::milliseconds = std::chrono::seconds{5});
  /// One answer with Content-Length or chunks; it is taken out of what was received.
  struct answer {
    int status = 0;
    std::string head;
    std::string body;
  };
  answer receive_answer();
  /// True once the peer has closed.
  bool ended() const { return ended_; }
  /// Closes; with_reset sends RST.
  void close();
  void close_with_reset();

private:
  int fd_ = -1;
  std::string received_;
  bool ended_ = false;
};

std::string get(std::string_view path);
std::string post(std::string_view path, std::string_view body, std::string_view more_headers = {});
/// The data of all events, chunk framing removed.
std::string without_chunks(std::string_view body);

} // namespace troupe::test
