// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "transport/runs.hpp"
#include "transport/tcp/frame.hpp"
#include "transport/tcp/socket.hpp"

namespace troupe::transport {

/// A posted write into a peer's region.
struct tcp_write {
  ticket what;
  region_id source;
  std::vector<run> source_runs;
  std::vector<run> target_runs;
  region_id target;
  region_token token{};
  std::uint64_t bytes = 0;
  std::array<std::byte, note_bytes_max> note{};
  std::uint8_t note_bytes = 0;
  steady_time deadline;
};

/// What waits for its turn on a connection: a write, or the answer to a fence.
struct tcp_outgoing_item {
  std::unique_ptr<tcp_write> write; // none: an answer
  std::uint64_t fence = 0;
};

/// What is being sent: head, then the payload and the trailer of a write if it is one.
struct tcp_outgoing_message {
  std::vector<std::byte> head;
  std::size_t head_sent = 0;
  std::unique_ptr<tcp_write> write; // none: only a head
  std::optional<run_walker> from;   // over write->source_runs
  std::uint64_t left = 0;           // of the payload
  errc verdict = errc::none;        // else the rest of the payload is padding
  std::size_t trailer_sent = 0;
};

/// Our connection to a peer that owns regions. Everything of it ends with it.
///
/// Life: fresh → connecting → greeting → open → ended. Only an open one sends writes.
struct tcp_outgoing {
  enum class state : std::uint8_t { fresh, connecting, greeting, open };

  std::uint64_t number = 0;
  socket_handle socket;
  std::uint32_t events = 0; // what epoll watches
  peer_id owner;
  tcp_address where;
  state now = state::fresh;
  /// Connected, then greeted.
  steady_time ready_by;
  /// How the owner calls it.
  std::uint64_t number_there = 0;
  /// Closed; swept at the end of the turn.
  bool ended = false;
  /// The owner was forgotten: to be closed once nothing of it is under way.
  bool retiring = false;

  std::deque<tcp_outgoing_item> queue;
  std::size_t answers = 0; // in queue
  std::optional<tcp_outgoing_message> sending;
  /// Complete, and not answered.
  std::map<std::uint64_t, std::unique_ptr<tcp_write>> sent;
  steady_time progress;

  frame_buffer small{};
  std::size_t have = 0;
};

} // namespace troupe::transport
