// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "messages/errc.hpp"

namespace troupe {

/// What a node says about itself in a shared folder.
struct node_lease {
  std::string cluster;
  std::string node;
  std::uint64_t life = 0;
  /// Where its node plane listens.
  std::string address;

  friend bool operator==(const node_lease&, const node_lease&) = default;
};

/// Discovery by a folder that all nodes can write, e.g. on NFS: a node has a file in it, `<node>.lease`, which it
/// writes anew again and again. A node whose file has not changed for the lease's time is taken for gone, by the clock
/// of who looks, so that the nodes' clocks need not agree. What is no lease, no regular file, or of
/// another cluster is ignored. Calls may block as long as the file system does: not for actors that share a thread.
class lease_folder {
public:
  using instant = std::chrono::steady_clock::time_point;

  lease_folder(std::filesystem::path folder, std::chrono::nanoseconds lease_time)
    : folder_(std::move(folder)), lease_time_(lease_time) {}

  /// Writes this node's lease, for the first time or anew, so that a reader sees the whole of it or the one before.
  /// errc::resource if the file cannot be written.
  expected<void, error> renew(const node_lease&);

  /// Deletes this node's lease, if it is that of this life.
  void withdraw(const node_lease&);

  /// Leases of the cluster that were renewed lately, by node name. Those not renewed for ten times as long are deleted.
  /// errc::resource if the folder cannot be read.
  expected<std::vector<node_lease>, error> scan(const std::string& cluster, instant now);

private:
  struct seen {
    std::string content;
    instant since;
  };

  /// What lives of this node left that were killed while they wrote. A name is one node's, so theirs is no other's.
  void remove_drafts_of_the_dead(const std::string& lease_name) const;
  std::filesystem::path file_of(const std::string& node) const { return folder_ / (node + ".lease"); }

  const std::filesystem::path folder_;
  const std::chrono::nanoseconds lease_time_;
  std::uint64_t renewals_ = 0;
  /// By file name.
  std::map<std::string, seen> seen_;
};

} // namespace troupe
