// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "messages/ids.hpp"

// Small questions and signals. A struct each, so that an interface line says what it is.
namespace troupe {

/// Asks a worker for a load_report now. Tests do; the directory gets reports without asking.
struct find_load {
  friend bool operator==(const find_load&, const find_load&) = default;
};
template <class Inspector>
bool inspect(Inspector& f, find_load& x) {
  return f.object(x).fields();
}

/// Asks the directory whether the node can serve.
struct find_health {
  friend bool operator==(const find_health&, const find_health&) = default;
};
template <class Inspector>
bool inspect(Inspector& f, find_health& x) {
  return f.object(x).fields();
}

/// Asks a hub what a stream has got so far, for the placement `attempt`: tokens of earlier ones are dropped from now
/// on.
struct find_stream_progress {
  request_id request;
  std::uint32_t attempt = 0;
  friend bool operator==(const find_stream_progress&, const find_stream_progress&) = default;
};
template <class Inspector>
bool inspect(Inspector& f, find_stream_progress& x) {
  return f.object(x).fields(f.field("request", x.request), f.field("attempt", x.attempt));
}

/// The list of a stream's tokens in the hub is the truth that a continuation replays.
struct stream_progress {
  request_id request;
  std::vector<token_id> emitted;
  /// The stream ended or is not known: nothing is left to continue.
  bool ended = false;
  friend bool operator==(const stream_progress&, const stream_progress&) = default;
};
template <class Inspector>
bool inspect(Inspector& f, stream_progress& x) {
  return f.object(x).fields(f.field("request", x.request), f.field("emitted", x.emitted), f.field("ended", x.ended));
}

/// Tells a router that a request which it placed has ended or was given up.
struct release_placement {
  request_id request;
  friend bool operator==(const release_placement&, const release_placement&) = default;
};
template <class Inspector>
bool inspect(Inspector& f, release_placement& x) {
  return f.object(x).fields(f.field("request", x.request));
}

/// Stop admission, finish what runs until the time is up, then end.
struct drain_request {
  std::chrono::nanoseconds time_left{};
  friend bool operator==(const drain_request&, const drain_request&) = default;
};
template <class Inspector>
bool inspect(Inspector& f, drain_request& x) {
  return f.object(x).fields(f.field("time_left", x.time_left));
}

} // namespace troupe
