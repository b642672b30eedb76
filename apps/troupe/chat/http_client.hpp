// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "apps/troupe/chat/url.hpp"
#include "messages/expected.hpp"

namespace troupe::chat {

/// Why an exchange did not end as HTTP wants it to.
enum class http_errc : std::uint8_t {
  none = 0,
  /// No connection.
  unreachable,
  /// The interrupt descriptor became readable.
  interrupted,
  timed_out,
  /// The connection broke off, or what came is not HTTP.
  broken,
  /// The response is larger than the bounds: headers 64 KiB, body 256 MiB.
  too_large,
  /// The receiver of the body wanted no more.
  refused,
};

using http_error = failure<http_errc>;

struct http_request {
  std::string method;
  std::string target;
  /// JSON, or empty.
  std::string body;
};

struct http_timeouts {
  std::chrono::milliseconds connect{5'000};
  /// Between two pieces of a response, and before its first one: a node may queue and compute that long.
  std::chrono::milliseconds idle{600'000};
};

struct http_status {
  int code = 0;
};

/// Gets the response's status and a piece of its body, as it comes; false ends the exchange.
using body_receiver = std::function<bool(http_status, std::string_view piece)>;

/// One request on a connection of its own, which is closed at the end, also when the exchange is
/// interrupted: that is how a server learns that an answer is not wanted any more.
expected<http_status, http_error> exchange(const url&, const http_request&, int interrupt_fd, const body_receiver&,
                                           http_timeouts = {});

} // namespace troupe::chat
