// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "transport/runs.hpp"
#include "transport/tcp/frame.hpp"
#include "transport/tcp/socket.hpp"

namespace troupe::transport {

/// A connection that a peer made, to write into our regions.
///
/// Life of a write here: header → details → payload → trailer → answered. One that is refused goes from header or
/// details to discard, which takes the payload off the connection, and then to trailer.
struct tcp_incoming {
  enum class step : std::uint8_t { hello, header, details, payload, discard, trailer };
  struct pending_fence {
    ticket what;
    steady_time answered_by;
  };

  std::uint64_t number = 0;
  socket_handle socket;
  std::uint32_t events = 0; // what epoll watches
  /// Known after the hello, which has to come by then.
  peer_id from;
  steady_time hello_by;
  /// Closed; swept at the end of the turn.
  bool ended = false;

  step at = step::hello;
  /// Bytes of the current hello, header or trailer, or of the details.
  frame_buffer small{};
  std::vector<std::byte> details;
  std::size_t have = 0;
  /// Bytes of payload, or of what is discarded, that are still to come.
  std::uint64_t left = 0;
  steady_time progress;

  /// The write that is being received. Its verdict is none while its bytes may land.
  frame write;
  errc verdict = errc::none;
  std::vector<run> runs;
  std::optional<run_walker> to; // over runs
  std::array<std::byte, note_bytes_max> note{};
  /// An arrival is reserved for it.
  bool reserved = false;
  /// It waits for an arrival to be polled; until then nothing is read.
  bool held = false;

  /// Frames to send, from sent on.
  std::vector<std::byte> out;
  std::size_t sent = 0;
  /// Sent, or on their way out, in order.
  std::vector<pending_fence> fences;
};

} // namespace troupe::transport
