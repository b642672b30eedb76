// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "transport/memory/memory_fabric.hpp"
#include "transport/transport.hpp"

namespace troupe::transport {

/// Bounds of a memory back end; see capabilities.
struct memory_config {
  std::uint64_t bytes_max = std::uint64_t{1} << 30;
  std::uint32_t runs_max = 4096;
  std::uint32_t transfers_max = 4096;
  /// Regions of peers that may be imported at a time.
  std::uint32_t imports_max = 65'536;
};

/// Moves bytes inside one process: one thread copies what was posted, in order, each write after its
/// checks were repeated. Talks to the members of its fabric, itself included.
///
/// Life of a write: posted → queued → copying → completed. A cancelled, expired or orphaned one goes
/// from queued to completed without a copy.
///
/// Invariants, under the fabric's mutex:
/// 1. A region that the copier touches is pinned, and a pinned region is not forgotten.
/// 2. operations_ counts what is queued, copying or completed but not polled; it never exceeds
///    transfers_max, which therefore bounds queue and completions.
/// 3. Every queued write with a note has an arrival of its target reserved, so that an arrival always
///    has room.
/// 4. The descriptor is readable exactly while there is something to poll.
class memory_backend final : public backend {
public:
  /// Joins the fabric as `self` and starts the thread. errc::resource if there is no descriptor or thread,
  /// errc::invalid_argument if the fabric has such a member.
  static expected<std::unique_ptr<memory_backend>, error> make(std::shared_ptr<memory_fabric>, peer_id self,
                                                               memory_config = {});

  /// Closes. Nobody may be inside another function.
  ~memory_backend() override;

  /// Ends the thread and leaves the fabric: what is queued ends with errc::closed, a copy in progress
  /// is cut short, regions are withdrawn. Completions can still be polled. Called by the owner, once or
  /// more, not concurrently with itself.
  void close();

  capabilities caps() const override;
  peer_id self() const override { return self_; }
  expected<region_id, error> add_region(region_view) override;
  void remove_region(region_id) override;
  expected<std::string, error> describe(region_id, peer_id reader) override;
  expected<remote_region, error> import(peer_id owner, std::string_view description) override;
  expected<ticket, error> write(region_id source, std::span<const run> source_runs, remote_region target,
                                std::span<const run> target_runs, std::span<const std::byte> note,
                                steady_time deadline) override;
  void cancel(ticket) override;
  expected<ticket, error> fence(peer_id peer) override;
  polled poll(std::span<completion>, std::span<arrival>) override;
  int wake_fd() const override { return wake_fd_; }
  void forget(peer_id) override;
  std::uint64_t bytes_moved() const override { return bytes_moved_.load(std::memory_order_relaxed); }

private:
  struct region {
    region_view view;
    /// To whom it was described, and as what: a description that was withdrawn does not come back.
    std::map<peer_id, std::uint64_t> readers;
    std::uint32_t pins = 0;
    bool removed = false; // waits for its pins
  };
  // Where a write goes.
  struct place {
    peer_id owner;
    region_id region;
    std::uint64_t permission = 0;
    friend auto operator<=>(const place&, const place&) = default;
  };
  struct transfer {
    region_id source;
    place target;
    std::vector<run> source_runs;
    std::vector<run> target_runs;
    std::uint64_t bytes = 0;
    std::array<std::byte, note_bytes_max> note{};
    std::uint8_t note_bytes = 0;
    steady_time deadline;
  };
  struct job {
    ticket what;
    peer_id asked_by;             // who gets the completion
    std::optional<transfer> copy; // none: a fence
  };

  memory_backend(std::shared_ptr<memory_fabric>, peer_id self, memory_config, int wake_fd);

  /// False if the fabric has a member of this id.
  bool join();

  // All below: under the fabric's mutex, save copy_bytes.
  void copier_loop();
  void carry_out(std::unique_lock<std::mutex>&, const job&);
  std::uint64_t copy_bytes(const transfer&, const std::byte* source, std::byte* target);
  expected<std::uint64_t, error> check_transfer(const transfer&);
  expected<region*, error> find_target(const place&) const;
  region* find_region(region_id);
  memory_backend* find_member(peer_id) const;
  void finish(const job&, errc, std::uint64_t bytes);
  void finish_queued(errc);
  void drop_fences_elsewhere();
  void signal();

  const std::shared_ptr<memory_fabric> fabric_;
  const memory_config config_;
  const int wake_fd_;
  const peer_id self_;

  std::condition_variable work_;
  std::deque<job> queue_;
  std::deque<completion> completions_;
  std::deque<arrival> arrivals_;
  std::uint32_t operations_ = 0;
  std::uint32_t arrivals_reserved_ = 0; // queued here or still to come
  std::map<region_id, region> regions_;
  std::map<remote_region, place> imports_;
  std::map<place, remote_region> import_index_;
  std::uint64_t last_ticket_ = 0;
  std::uint32_t last_region_ = 0;
  std::uint32_t last_import_ = 0;
  std::uint64_t last_permission_ = 0;
  ticket copying_; // value 0: none
  bool signalled_ = false;
  bool closed_ = false;

  std::atomic<bool> stop_copying_ = false;
  std::atomic<std::uint64_t> bytes_moved_ = 0;
  std::thread copier_;
};

} // namespace troupe::transport
