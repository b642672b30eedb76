// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

#include "actors/frontend/http/http_message.hpp"
#include "messages/errc.hpp"

namespace troupe {

/// One request and the place for its answer: either one respond(), or begin_events(), write_event()s and
/// end_events(). Used on the I/O thread only. After the client is gone every call does nothing.
class http_exchange {
public:
  virtual ~http_exchange() = default;

  virtual http_request& request() = 0;

  virtual void respond(http_response) = 0;

  /// Status 200 and the headers of an event stream.
  virtual void begin_events(const http_headers&) = 0;
  /// Queues the event; flush() sends what is queued in one piece.
  virtual void write_event(std::string_view text) = 0;
  virtual void end_events() = 0;
  virtual void flush() = 0;

  /// Bytes that the client has not taken yet.
  virtual std::size_t queued_bytes() const = 0;

  /// Ends a stream whose reader is too slow: no more is queued than what is there, and the connection is
  /// closed soon, whether that was read or not.
  virtual void give_up() = 0;

  /// Called at most once, on the I/O thread, if the client goes away before the answer is complete.
  virtual void on_abandoned(std::function<void()>) = 0;
};

} // namespace troupe
