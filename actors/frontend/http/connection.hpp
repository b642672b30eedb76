// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <boost/asio/ip/tcp.hpp>

#include "actors/frontend/http/http_server.hpp"

namespace troupe {

class connection;

/// What the connections of one server share. I/O thread only.
class connection_owner {
public:
  virtual ~connection_owner() = default;
  virtual const http_server_config& config() const = 0;
  virtual http_server::callbacks& callbacks() = 0;
  /// False: answers say "Connection: close".
  virtual bool keeps_alive() const = 0;
  /// Memory to read into, shared by all connections between two calls.
  virtual boost::asio::mutable_buffer scratch() = 0;
  /// Takes from, or gives back to, the bytes that all bodies may have together.
  virtual bool reserve_body(std::uint64_t bytes) = 0;
  virtual void release_body(std::uint64_t bytes) = 0;
  /// Forgets the connection.
  virtual void closed(connection&) = 0;
};

/// One client connection: requests in, answers out, one at a time in order.
///
///   reading → responding → reading → … → lingering → closed
///
/// The socket is watched for reading in every state, so that a client that leaves is noticed while its
/// answer is being made. Writes are tried at once and wait only when the socket is full; what is queued
/// meanwhile goes out together.
class connection : public std::enable_shared_from_this<connection> {
public:
  using clock = std::chrono::steady_clock;

  connection(connection_owner& owner, boost::asio::ip::tcp::socket socket);
  ~connection();

  void start();
  /// One connection too many: says so and closes.
  void start_refused();
  /// Ends what has waited too long.
  void check_deadlines(clock::time_point now);
  /// Closes without a farewell; the answer in work, if any, is told.
  void abandon();

  /// Bytes of output that the socket has not taken yet.
  std::size_t queued() const { return out_.size() - sent_; }

private:
  class exchange;
  struct parsing;
  enum class state : std::uint8_t { reading, responding, lingering, closed };

  // reading: connection.cpp
  void wait_readable();
  void on_readable();
  void on_peer_closed();
  void parse();
  bool parse_some();
  void on_header();
  void dispatch();
  void report(std::string_view why);
  void refuse(std::uint16_t status, std::string message, const http_headers& headers = {});

  // writing: connection_output.cpp
  void write_head(std::uint16_t status, std::string_view content_type, const http_headers& headers,
                  const http_request& to);
  void respond(http_response response, const http_request& to);
  void begin_events(const http_headers& headers, const http_request& to);
  void write_event(std::string_view text);
  void end_chunks();
  void end_response();
  void flush();
  void on_drained();
  void linger();
  void give_up();
  void close();

  connection_owner& owner_;
  boost::asio::ip::tcp::socket socket_;
  state state_ = state::reading;
  /// Received and not parsed yet.
  std::string in_;
  std::unique_ptr<parsing> parsing_;
  /// Answer to the request in work; its exchange knows us as long as it is set.
  std::shared_ptr<exchange> exchange_;
  /// To be sent, from sent_ on.
  std::string out_;
  std::size_t sent_ = 0;
  std::uint64_t reserved_body_ = 0;
  /// End of the present wait for the client's bytes; max: none.
  clock::time_point deadline_;
  clock::time_point write_deadline_ = clock::time_point::max();
  bool read_pending_ = false;
  bool write_pending_ = false;
  bool in_parse_ = false;
  bool peer_closed_ = false;
  bool close_after_ = false;
  bool had_request_ = false;
  bool head_request_ = false;
  bool http_1_0_ = false;
};

} // namespace troupe
