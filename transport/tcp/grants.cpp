// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp/grants.hpp"

#include <utility>

namespace troupe::transport {

expected<region_token, error> grant_table::grant(region_id region, peer_id reader) {
  if (auto i = readers_.find(reader); i != readers_.end())
    if (auto j = i->second.tokens.find(region); j != i->second.tokens.end())
      return j->second;
  auto drawn = random_token();
  if (drawn)
    readers_[reader].tokens.emplace(region, *drawn);
  return drawn;
}

bool grant_table::is_granted(region_id region, peer_id reader, const region_token& shown) const {
  auto i = readers_.find(reader);
  if (i == readers_.end())
    return false;
  auto j = i->second.tokens.find(region);
  return j != i->second.tokens.end() && j->second == shown;
}

void grant_table::revoke(region_id region) {
  for (auto& [peer, r] : readers_)
    r.tokens.erase(region);
  std::erase_if(readers_, [](auto& r) { return r.second.tokens.empty(); });
}

void grant_table::revoke(peer_id reader) { readers_.erase(reader); }

void grant_table::fenced_unseen(peer_id peer) {
  if (auto i = readers_.find(peer); i != readers_.end())
    i->second.discards = true;
}

void grant_table::fenced_by_closing(peer_id peer, std::uint64_t connection) {
  if (auto i = readers_.find(peer); i != readers_.end())
    i->second.closed = connection;
}

backlog grant_table::reconnected(peer_id peer, std::uint64_t seen_end_of) {
  auto i = readers_.find(peer);
  if (i == readers_.end())
    return backlog::keep;
  auto closed = std::exchange(i->second.closed, 0);
  auto discards = std::exchange(i->second.discards, false);
  return discards || (closed != 0 && closed != seen_end_of) ? backlog::discard : backlog::keep;
}

} // namespace troupe::transport
