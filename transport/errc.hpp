// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "messages/expected.hpp"

namespace troupe::transport {

/// Why bytes did not move.
enum class errc : std::uint8_t {
  /// No error.
  none = 0,
  /// Runs are empty, self-overlapping, too many or of unequal total, or a note is too long.
  invalid_argument,
  /// A run reaches beyond its region.
  out_of_range,
  /// A region id or description that is unknown here, or was removed.
  unknown_region,
  /// The owner of the target region has withdrawn it from this peer.
  revoked,
  /// Too many transfers are outstanding, here or at the target; poll, then try again.
  no_credit = 5,
  /// The deadline passed before the first byte moved.
  timed_out,
  /// Cancelled; some bytes may have moved.
  cancelled,
  /// The peer has ended: nothing of it lands any more.
  peer_gone,
  /// This back end has been closed.
  closed,
  /// The operating system refused a thread or a descriptor, or a table is full.
  resource = 10,
};

std::string to_string(errc);
/// The sentence, for logs.
std::string_view describe(errc);

using error = failure<errc>;

inline unexpected<error> fail(errc code, std::string context) { return {error{code, std::move(context)}}; }

} // namespace troupe::transport
