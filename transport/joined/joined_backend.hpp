// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "transport/transport.hpp"

namespace troupe::transport {

/// Several back ends of one endpoint as one: a peer's region is written by the first of them, in order of preference,
/// that can reach it.
///
/// A region is registered in every child; its description has a line per child, without those that cannot describe
/// it. A remote region belongs to the child that imported it, so writes to it start in order of posting; there is no
/// order between children. Importing again gives the same id as long as the same child takes it. Arrivals of a region
/// that was removed are dropped.
///
/// Invariants, under the mutex:
/// 1. A ticket of a write is the child's, with the child's index in its lowest bits, so nothing is kept for it.
/// Children
///    count their tickets: one of 2^60 or more does not occur.
/// 2. A fence is open as long as a child's part of it is; every part is in fence_parts_ until its completion was
/// polled.
///    A part whose fence is no longer in fences_ belongs to one that another child refused: nobody hears of it.
/// 3. Nothing is buffered here: one completion of a child makes at most one of ours, so what there is no room for stays
///    in the child, and the descriptor readable. It is also readable while a part of a fence waits to be polled.
class joined_backend final : public backend {
public:
  static constexpr std::size_t children_max = 8;
  /// Lines of a description that are tried.
  static constexpr std::size_t lines_max = 64;

  /// Children in order of preference. errc::invalid_argument unless there are 1 to children_max, all of one self();
  /// errc::resource if there is no descriptor.
  static expected<std::unique_ptr<joined_backend>, error> make(std::vector<std::unique_ptr<backend>> children);
  ~joined_backend() override;

  /// The least of every child's.
  capabilities caps() const override;
  peer_id self() const override { return children_.front()->self(); }
  expected<region_id, error> add_region(region_view) override;
  void remove_region(region_id) override;
  expected<std::string, error> describe(region_id, peer_id reader) override;
  expected<remote_region, error> import(peer_id owner, std::string_view description) override;
  expected<ticket, error> write(region_id source, std::span<const run> source_runs, remote_region target,
                                std::span<const run> target_runs, std::span<const std::byte> note,
                                steady_time deadline) override;
  void cancel(ticket) override;
  /// Ends when the fences of all children have, with the first failure.
  expected<ticket, error> fence(peer_id peer) override;
  polled poll(std::span<completion>, std::span<arrival>) override;
  int wake_fd() const override { return wake_fd_; }
  void forget(peer_id) override;
  std::uint64_t bytes_moved() const override;

private:
  struct region {
    std::vector<region_id> in_child;
    bool removed = false; // some caller of remove_region may still wait
  };
  struct imported {
    std::size_t child = 0;
    remote_region region;
    peer_id owner;
  };
  struct open_fence {
    std::size_t parts = 0;
    errc result = errc::none;
    std::uint64_t bytes = 0;
  };

  joined_backend(std::vector<std::unique_ptr<backend>> children, int wake_fd);

  void remove_from_children(const std::vector<region_id>& in_child);
  const region* find_region(region_id) const;
  remote_region note_import(const imported&);
  void abandon_fence(ticket);
  std::optional<completion> translate(std::size_t child, const completion&);
  std::optional<arrival> translate(std::size_t child, const arrival&) const;

  const std::vector<std::unique_ptr<backend>> children_;
  const int wake_fd_;

  mutable std::mutex mutex_;
  std::map<region_id, region> regions_;
  std::map<std::pair<std::size_t, region_id>, region_id> region_index_; // by child and its id
  std::map<remote_region, imported> imports_;
  std::map<std::pair<std::size_t, remote_region>, remote_region> import_index_; // by child and its id
  std::map<ticket, open_fence> fences_;
  std::map<std::pair<std::size_t, ticket>, ticket> fence_parts_; // by child and its ticket
  std::uint32_t last_region_ = 0;
  std::uint32_t last_import_ = 0;
  std::uint64_t last_fence_ = 0;
  std::size_t polled_first_ = 0;
};

} // namespace troupe::transport
