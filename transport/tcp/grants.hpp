// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include "transport/tcp/frame.hpp"

namespace troupe::transport {

/// Which peer may write into which region, and what a peer has to be told when it connects again. Not thread-safe.
///
/// A fence about a peer may have to end without the peer's answer: it is not connected, or its connection ends. What
/// the peer had posted by then waits at the peer for its next connection, and must not land: the owner's hello tells
/// the peer to discard it. Unless the peer shows that it has seen the end of the very connection that the fence has
/// closed: then everything older ended there.
class grant_table {
public:
  /// The same token for the same pair; errc::resource if the system gives no random bytes.
  expected<region_token, error> grant(region_id, peer_id reader);
  bool is_granted(region_id, peer_id reader, const region_token&) const;
  /// Nobody may write into it any more.
  void revoke(region_id);
  /// It may write nowhere any more.
  void revoke(peer_id reader);

  /// A fence about the peer has ended without its answer, and without a connection of it.
  void fenced_unseen(peer_id);
  /// A fence about the peer has closed this connection of it.
  void fenced_by_closing(peer_id, std::uint64_t connection);
  /// The peer connects, having seen the end of that connection (0: of none): what it has to do with what it posted
  /// until now. Settles what fences left.
  backlog reconnected(peer_id, std::uint64_t seen_end_of);

private:
  struct reader {
    std::map<region_id, region_token> tokens;
    bool discards = false;
    std::uint64_t closed = 0; // connection whose end it must have seen; 0: none
  };

  // Peers without a token need no entry: nothing that they posted can land.
  std::map<peer_id, reader> readers_;
};

} // namespace troupe::transport
