// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "messages/ids.hpp"
#include "messages/region.hpp"
#include "transport/errc.hpp"

// The seam between those who want bytes moved and those who move them. It knows no requests.
namespace troupe::transport {

/// One life of an endpoint as others see it: drawn at random by it, so that no two in a cluster are alike. All back
/// ends of an endpoint have the same.
using peer_id = strong_id<struct peer_id_tag>;
/// One posted operation of one back end, never used twice.
using ticket = strong_id<struct ticket_tag>;
/// A peer's region as imported here.
using remote_region = strong_id<struct remote_region_tag, std::uint32_t>;
using steady_time = std::chrono::steady_clock::time_point;

/// Bounds of one back end, constant during its life.
struct capabilities {
  /// Bytes of one write.
  std::uint64_t bytes_max = 0;
  /// Runs on either side of one write.
  std::uint32_t runs_max = 0;
  /// Operations that are posted and whose completions are not yet polled.
  std::uint32_t transfers_max = 0;
};

/// `count` pieces of `bytes` bytes each, `stride` bytes from start to start: a block is one run, and so
/// is a layer range or a head slice of it. With one piece the stride means nothing; otherwise pieces
/// must not overlap.
struct run {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t stride = 0;
  std::uint32_t count = 1;
};

/// The end of a posted operation.
struct completion {
  ticket what;
  errc result = errc::none;
  /// Bytes that moved. All of them if the result is none.
  std::uint64_t bytes = 0;
};

constexpr std::size_t note_bytes_max = 64;

/// A write of a peer, with a note, has landed in a region of ours: its bytes are visible.
struct arrival {
  peer_id from;
  region_id region;
  std::array<std::byte, note_bytes_max> note{};
  std::uint8_t note_bytes = 0;
};

/// How many of each poll() stored.
struct polled {
  std::size_t completions = 0;
  std::size_t arrivals = 0;
};

/// Moves bytes between registered regions of endpoints.
///
/// Every function may be called from any thread. None throws, and none blocks except remove_region and
/// the destructor. An operation that was accepted (a ticket came back) completes exactly once, whatever
/// happens; one that was refused never does. Operations of one back end start in order of posting.
class backend {
public:
  virtual ~backend() = default;

  virtual capabilities caps() const = 0;

  /// This endpoint, as peers know it.
  virtual peer_id self() const = 0;

  /// Registers memory, once, at start. It stays the caller's, who keeps it valid until remove_region
  /// returns or the back end ends.
  virtual expected<region_id, error> add_region(region_view) = 0;

  /// Withdraws a region. Waits for the copy that runs in it, if any; afterwards nothing reads or writes
  /// its memory, and transfers that would have end with errc::unknown_region. Unknown ids are ignored.
  virtual void remove_region(region_id) = 0;

  /// Lets one peer write into a region: an opaque text, for the request plane. Valid until the region is removed or the
  /// peer forgotten; a later description of the same region is another one, and does not make this one valid again.
  virtual expected<std::string, error> describe(region_id, peer_id reader) = 0;

  /// The other end of describe. Importing the same description again gives the same id; a later one of the same region
  /// ends the earlier id.
  virtual expected<remote_region, error> import(peer_id owner, std::string_view description) = 0;

  /// Copies the bytes of the source runs, in order, to those of the target runs; both sides must have
  /// the same total. With a note (at most note_bytes_max bytes) the target's owner sees an arrival after
  /// the bytes; without one it sees nothing. Runs and note are copied; source memory must stay unchanged
  /// until the completion. If the deadline passes before the copy begins, it completes with timed_out.
  /// errc::no_credit beyond caps().transfers_max, or if the target has that many arrivals to poll.
  virtual expected<ticket, error> write(region_id source, std::span<const run> source_runs, remote_region target,
                                        std::span<const run> target_runs, std::span<const std::byte> note,
                                        steady_time deadline) = 0;

  /// Asks for an early end. The operation completes exactly once: with cancelled, or as if nobody had
  /// asked. Until then its bytes may move. Unknown and completed tickets are ignored. For back ends that stand on
  /// others; actors give a write a deadline instead, and what is queued for a peer ends when that is forgotten.
  virtual void cancel(ticket) = 0;

  /// Completes once nothing that `peer` posted before this call can still land in a region of ours: all
  /// of it has landed, failed or been cancelled. At once if the peer is gone.
  virtual expected<ticket, error> fence(peer_id peer) = 0;

  /// Takes what has ended and what has arrived, oldest first, up to the room given. A write's completion
  /// and its arrival become visible at the same time.
  virtual polled poll(std::span<completion>, std::span<arrival>) = 0;

  /// A descriptor that is readable while poll() would return something. Owned by the back end.
  virtual int wake_fd() const = 0;

  /// Ends the relation with a peer: its regions are no longer imported, writes to it that have not begun
  /// end with peer_gone, and what was described to it is withdrawn. A copy of the peer that runs already
  /// may finish: fence() first if that matters.
  virtual void forget(peer_id) = 0;

  /// Payload bytes that this back end has copied since it began, for metrics.
  virtual std::uint64_t bytes_moved() const = 0;
};

} // namespace troupe::transport
