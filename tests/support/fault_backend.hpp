// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "transport/transport.hpp"

namespace troupe::test {

/// What shall go wrong. Writes are counted from 0 in order of write(), refused ones included.
struct fault_policy {
  /// Decides which byte of a payload is flipped, and which of its bits.
  std::uint64_t seed = 1;
  /// One bit of the payload is wrong in the target memory before anybody learns that it landed.
  std::set<std::uint64_t> flip;
  /// write() answers errc::no_credit.
  std::set<std::uint64_t> refuse;
  /// The bytes land, but the news never comes.
  std::set<std::uint64_t> drop_completion;
  std::set<std::uint64_t> drop_arrival;
  /// The news waits for release().
  std::set<std::uint64_t> hold_completion;
  std::set<std::uint64_t> hold_arrival;
  /// So do the ends of fences, or not.
  enum class fence_news : std::uint8_t { told, held } fences = fence_news::told;
  /// Everything else is told this many polls late. The descriptor stays readable meanwhile.
  std::uint32_t delay_polls = 0;
};

/// A transport that fails as it is told, around one that works. Flips need to know the target's memory,
/// and arrivals to be matched with writes: both work for writes of the inner back end to its own regions,
/// which is what one node does; news of other peers passes untouched.
class fault_backend final : public transport::backend {
public:
  fault_backend(std::unique_ptr<transport::backend> inner, fault_policy);
  ~fault_backend() override;

  /// Lets go of what is held, and holds nothing from now on.
  void release();
  /// Writes seen so far.
  std::uint64_t writes() const;
  /// Bits flipped so far.
  std::uint64_t flips() const;
  /// Completions and arrivals held at the moment.
  std::size_t held() const;

  transport::capabilities caps() const override { return inner_->caps(); }
  transport::peer_id self() const override { return inner_->self(); }
  expected<region_id, transport::error> add_region(region_view) override;
  void remove_region(region_id) override;
  expected<std::string, transport::error> describe(region_id, transport::peer_id) override;
  expected<transport::remote_region, transport::error> import(transport::peer_id, std::string_view) override;
  expected<transport::ticket, transport::error> write(region_id, std::span<const transport::run>,
                                                      transport::remote_region, std::span<const transport::run>,
                                                      std::span<const std::byte> note,
                                                      transport::steady_time deadline) override;
  void cancel(transport::ticket what) override { inner_->cancel(what); }
  expected<transport::ticket, transport::error> fence(transport::peer_id peer) override { return inner_->fence(peer); }
  transport::polled poll(std::span<transport::completion>, std::span<transport::arrival>) override;
  int wake_fd() const override { return wake_fd_; }
  void forget(transport::peer_id peer) override { inner_->forget(peer); }
  std::uint64_t bytes_moved() const override { return inner_->bytes_moved(); }

private:
  struct posted {
    std::uint64_t index = 0;
    bool noted = false;
    region_id target;
    std::vector<transport::run> target_runs;
    std::uint64_t bytes = 0;
  };
  template <class News>
  struct late {
    News news;
    std::uint64_t due; // poll number
  };

  void take_from_inner();
  void take(const transport::completion&);
  void take(const transport::arrival&);
  void flip(const posted&);
  void update_signal();

  const std::unique_ptr<transport::backend> inner_;
  fault_policy policy_;
  int event_fd_ = -1; // readable while something is ready here
  int wake_fd_ = -1;  // epoll over event_fd_ and the inner descriptor

  mutable std::mutex mutex_;
  std::mt19937_64 random_;
  std::uint64_t writes_ = 0;
  std::uint64_t polls_ = 0;
  std::uint64_t flips_ = 0;
  std::map<region_id, region_view> regions_;
  std::map<std::string, region_id, std::less<>> described_;
  std::map<transport::remote_region, region_id> imported_;
  std::map<transport::ticket, posted> posted_;
  // Writes that landed with a note, in order: their arrivals come in the same order.
  std::deque<std::uint64_t> landed_;
  std::deque<late<transport::completion>> completions_;
  std::deque<late<transport::arrival>> arrivals_;
  std::vector<transport::completion> held_completions_;
  std::vector<transport::arrival> held_arrivals_;
};

} // namespace troupe::test
