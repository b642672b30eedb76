// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "actors/frontend/http/http_exchange.hpp"
#include "actors/frontend/http/io_lane.hpp"
#include "messages/errc.hpp"

namespace troupe {

/// Bounds of the HTTP side. Every wait has an end, every buffer a size.
struct http_server_config {
  /// A loopback address in numbers: there are no API keys yet.
  std::string host = "127.0.0.1";
  /// 0 lets the system choose.
  std::uint16_t port = 8000;
  std::uint32_t connections_max = 8192;
  std::uint32_t header_bytes_max = 16 * 1024;
  std::uint32_t header_count_max = 100;
  std::uint64_t body_bytes_max = 8 << 20;
  /// Bodies of all connections together.
  std::uint64_t bodies_bytes_max = 512 << 20;
  std::chrono::milliseconds header_time{5'000};
  std::chrono::milliseconds body_time{30'000};
  std::chrono::milliseconds idle_time{75'000};
  /// A client that takes no byte of its answer for this long is gone.
  std::chrono::milliseconds write_stall_time{30'000};
  /// How long a slow reader's connection stays to take what is queued.
  std::chrono::milliseconds give_up_time{2'000};
  /// Of the socket. Small, because the kernel's queue counts as memory of a slow reader too.
  std::uint32_t send_buffer_bytes = 64 * 1024;
};

/// An HTTP/1.1 server on one thread of its own: keep-alive, pipelining, chunked answers, TCP_NODELAY.
/// Malformed or oversized requests are answered here and never reach the handler.
class http_server {
public:
  /// Runs on the I/O thread for each request. Must not block.
  using handler = std::function<void(std::shared_ptr<http_exchange>)>;
  /// Told of every answer when its status line is written; the path is empty if no request was understood.
  using answer_observer = std::function<void(std::string_view path, std::uint16_t status)>;

  struct callbacks {
    handler on_request;
    answer_observer on_answer;
    /// On the I/O thread, when it is about to end: the last chance to drop exchanges.
    std::function<void()> on_stop;
    /// Told of a connection that is closed because what came is not HTTP, or no request ever came, and why. The
    /// descriptor is open during the call. May be empty.
    std::function<void(int fd, std::string_view why)> on_stranger;
  };

  /// Binds and listens, so that the address is known. errc::resource, invalid_config.
  static expected<std::unique_ptr<http_server>, error> listen(const http_server_config&);

  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;
  /// Stops.
  ~http_server();

  std::uint16_t port() const;
  std::shared_ptr<io_lane> lane() const;

  /// Starts the thread. REQUIRES: called once
  void run(callbacks);

  /// Refuses new connections; open ones go on, and are closed after their next answer. I/O thread only.
  void stop_accepting();
  /// Calls `done` on the I/O thread once no connection has unsent output. On the I/O thread.
  void await_flushed(std::function<void()> done);

  /// Closes everything and joins the thread. Not from the I/O thread.
  void stop();

private:
  struct content;
  explicit http_server(std::shared_ptr<content>);
  std::shared_ptr<content> content_;
};

} // namespace troupe
