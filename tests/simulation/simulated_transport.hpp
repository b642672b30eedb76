// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/network.hpp"
#include "transport/transport.hpp"

namespace troupe::test {

class simulated_backend;

/// Where simulated endpoints meet: the bulk plane of all processes, under virtual time.
class simulated_fabric {
public:
  simulated_fabric(timeline& time, splitmix64& random, network& net) : time_(time), random_(random), network_(net) {}

  /// Whether a bit of a block is wrong when it lands: once in so many blocks; 0: never.
  std::uint32_t flip_one_of = 0;
  /// Whether a write finds no credit: once in so many.
  std::uint32_t refuse_one_of = 0;
  /// Whether a copy takes long (up to stall_max): once in so many, stalls_left times.
  std::uint32_t stall_one_of = 0;
  std::chrono::milliseconds stall_max{800};
  std::uint32_t stalls_left = 10;
  /// For mutations that the simulation must notice: fences end at once.
  bool fences_lie = false;

  /// Copies that landed after what was described to their writer had been withdrawn.
  std::uint64_t late_landings() const { return late_landings_; }

  /// What a process of this port has. `news`: called when there is something to poll.
  std::unique_ptr<transport::backend> make(network_port&, std::function<void()> news);
  void kill(network_port&);
  /// What it was copying goes on. REQUIRES: the port is not frozen any more
  void thaw(network_port&);

private:
  friend class simulated_backend;

  simulated_backend* find(transport::peer_id) const;

  timeline& time_;
  splitmix64& random_;
  network& network_;
  std::map<transport::peer_id, simulated_backend*> members_;
  std::uint64_t numbers_ = 0;
  std::uint64_t late_landings_ = 0;
};

/// Like a back end between processes: a write is checked when its copy begins, and lands when it ends, whatever was
/// withdrawn meanwhile; the copies of one endpoint are made by it, one after the other, so that a process which is
/// stopped in mid-copy lands its bytes when it goes on. Memory that was removed from the back end is not written.
class simulated_backend final : public transport::backend {
public:
  simulated_backend(simulated_fabric&, network_port&, std::function<void()> news);
  ~simulated_backend() override;

  transport::capabilities caps() const override { return {1u << 24, 64, 64}; }
  transport::peer_id self() const override { return self_; }
  expected<region_id, transport::error> add_region(region_view) override;
  void remove_region(region_id) override;
  expected<std::string, transport::error> describe(region_id, transport::peer_id reader) override;
  expected<transport::remote_region, transport::error> import(transport::peer_id owner, std::string_view) override;
  expected<transport::ticket, transport::error> write(region_id, std::span<const transport::run>,
                                                      transport::remote_region, std::span<const transport::run>,
                                                      std::span<const std::byte> note,
                                                      transport::steady_time deadline) override;
  /// Nobody here cancels.
  void cancel(transport::ticket) override {}
  expected<transport::ticket, transport::error> fence(transport::peer_id) override;
  transport::polled poll(std::span<transport::completion>, std::span<transport::arrival>) override;
  int wake_fd() const override { return -1; }
  void forget(transport::peer_id) override;
  std::uint64_t bytes_moved() const override { return bytes_moved_; }

private:
  friend class simulated_fabric;

  struct region {
    region_view view;
    /// To whom it was described, and as what: a description that was withdrawn does not come back.
    std::map<transport::peer_id, std::uint64_t> readers;
  };
  struct place {
    transport::peer_id owner;
    region_id region;
    std::uint64_t permission = 0;
    friend auto operator<=>(const place&, const place&) = default;
  };
  struct transfer {
    transport::ticket what;
    region_id source;
    place target;
    transport::run source_run;
    transport::run target_run;
    std::vector<std::byte> note;
    transport::steady_time deadline;
    bool copying = false;
  };
  struct open_fence {
    transport::ticket what;
    transport::peer_id writer;
    /// Of the writer: what it posted to us before the fence.
    std::set<transport::ticket> awaited;
  };

  void work();
  void begin();
  void end();
  void finish(transport::errc);
  void complete(transport::ticket, transport::errc);
  transport::errc check(const transfer&) const;
  /// A transfer of `writer` is over.
  void note_end(transport::peer_id writer, transport::ticket);

  simulated_fabric& fabric_;
  network_port& port_;
  std::function<void()> news_;
  const transport::peer_id self_;
  std::map<region_id, region> regions_;
  std::map<transport::remote_region, place> imported_;
  std::deque<transfer> queue_;
  /// The front of the queue has its next event planned.
  bool working_ = false;
  /// An event came due while the process was stopped.
  bool stopped_ = false;
  bool dead_ = false;
  std::vector<open_fence> fences_;
  std::deque<transport::completion> completions_;
  std::deque<transport::arrival> arrivals_;
  std::uint64_t bytes_moved_ = 0;
  /// For events that come due after the end of this object.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace troupe::test
