// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "transport/transport.hpp"

namespace troupe::test {

/// A back end whose operations are over when they return: it waits for the thread of the one inside, so
/// that a scenario under virtual time never depends on it.
class synchronous_backend final : public transport::backend {
public:
  explicit synchronous_backend(std::unique_ptr<transport::backend> inner) : inner_(std::move(inner)) {}

  transport::capabilities caps() const override { return inner_->caps(); }
  transport::peer_id self() const override { return inner_->self(); }
  expected<region_id, transport::error> add_region(region_view view) override { return inner_->add_region(view); }
  void remove_region(region_id region) override { inner_->remove_region(region); }
  expected<std::string, transport::error> describe(region_id region, transport::peer_id reader) override {
    return inner_->describe(region, reader);
  }
  expected<transport::remote_region, transport::error> import(transport::peer_id owner,
                                                              std::string_view text) override {
    return inner_->import(owner, text);
  }
  expected<transport::ticket, transport::error> write(region_id source, std::span<const transport::run> source_runs,
                                                      transport::remote_region target,
                                                      std::span<const transport::run> target_runs,
                                                      std::span<const std::byte> note,
                                                      transport::steady_time deadline) override;
  void cancel(transport::ticket what) override { inner_->cancel(what); }
  expected<transport::ticket, transport::error> fence(transport::peer_id peer) override;
  transport::polled poll(std::span<transport::completion>, std::span<transport::arrival>) override;
  int wake_fd() const override { return inner_->wake_fd(); }
  void forget(transport::peer_id peer) override { inner_->forget(peer); }
  std::uint64_t bytes_moved() const override { return inner_->bytes_moved(); }

private:
  void await(transport::ticket);

  std::unique_ptr<transport::backend> inner_;
  std::vector<transport::completion> completions_;
  std::vector<transport::arrival> arrivals_;
};

} // namespace troupe::test
