// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include "actors/node/local_services.hpp"
#include "actors/worker/device.hpp"
#include "actors/worker/worker_config.hpp"
#include "actors/worker/worker_metrics.hpp"
#include "messages/caf_error.hpp"

namespace troupe {

/// What prefill and decode workers have in common: a scheduler, a device that runs its steps, a region
/// registered with the node's endpoint, load reports, drain. Lives inside a worker's state.
template <class Handle>
class worker_core {
public:
  using pointer = typename Handle::pointer;

  /// Makes the executor and spawns the device. On failure the actor quits and `started()` is false.
  /// `act` is called with the events of the scheduler after each change; `is_settled` says whether what the worker owes
  /// to others is delivered: a drain waits for it.
  worker_core(pointer self, worker_config config, std::uint32_t roles, transport_endpoint_actor endpoint,
              std::function<void(scheduler_events&)> act, std::function<bool()> is_settled)
    : self_(self), config_(std::move(config)), roles_(roles), act_(std::move(act)), is_settled_(std::move(is_settled)),
      metrics_(self->system(), config_.id, roles == role_prefill ? "prefill" : "decode") {
    auto executor = config_.make_executor();
    if (!executor) {
      self_->quit(to_caf_error({errc::device_failed, executor.error().context}));
      return;
    }
    info_ = (*executor)->info();
    for (std::size_t g = 0; g < info_.groups.size(); ++g)
      memories_.push_back((*executor)->kv_memory(g));
    scheduler_ = std::make_unique<scheduler>(capped(config_.limits));
    device_ = spawn_device(*self_, std::move(*executor));
    set_endpoint(std::move(endpoint));
  }

  bool started() const { return scheduler_ != nullptr; }
  /// Called once, when the behavior is set.
  void start_ticking() { tick(); }

  troupe::scheduler& sequences() { return *scheduler_; }
  const gpu::executor_info& info() const { return info_; }
  const std::vector<gpu::cache_group>& groups() const { return info_.groups; }
  std::uint32_t block_tokens() const { return info_.groups.front().block_tokens; }
  std::vector<std::uint64_t> block_bytes() const {
    std::vector<std::uint64_t> all;
    for (auto& group : info_.groups)
      all.push_back(group.block_bytes);
    return all;
  }
  /// What a block of a cache group holds.
  std::span<const std::byte> bytes_of(std::size_t group, block_id block) const {
    auto bytes = info_.groups[group].block_bytes;
    return {memories_[group].data + block * bytes, bytes};
  }
  const worker_config& config() const { return config_; }
  worker_metrics& metrics() { return metrics_; }
  bool draining() const { return draining_; }
  steady_time now() const { return self_->clock().now(); }

  /// Null while the node's endpoint is down or has not registered our memory yet.
  transport_endpoint_actor endpoint() const { return registered() ? endpoint_ : transport_endpoint_actor{}; }
  /// Of a cache group. REQUIRES: endpoint() is not null
  region_id region(std::size_t group) const { return regions_[group]->region; }
  /// 0 while endpoint() is null.
  transport_peer endpoint_id() const { return registered() ? regions_.front()->endpoint : transport_peer{}; }
  bool is_endpoint(const caf::actor_addr& who) const { return endpoint_ && endpoint_.address() == who; }
  void lose_endpoint() {
    endpoint_ = transport_endpoint_actor{};
    regions_.assign(memories_.size(), std::nullopt);
    directory_ = {}; // its record names the lost one
  }

  void set_endpoint(transport_endpoint_actor endpoint) {
    lose_endpoint();
    if (!endpoint)
      return;
    endpoint_ = endpoint;
    self_->monitor(endpoint_);
    for (std::size_t g = 0; g < memories_.size(); ++g)
      self_
        ->request(endpoint_, config_.answer_time_max, register_region{memories_[g]},
                  caf::actor_cast<kv_sink_actor>(self_))
        .then(
          [this, endpoint, g](const region_registered& what) {
            if (endpoint != endpoint_)
              return;
            regions_[g] = what;
            if (!registered())
              return;
            directory_ = {}; // its record lacks the endpoint
            greet();
          },
          [](const caf::error&) {
            // It is down: its supervisor sends the next one. Until then prompts are prefilled here.
          });
  }

  /// Submits what can run, and hands the scheduler's events to the worker, until nothing changes.
  /// Not to be called from `act`.
  void advance() {
    do {
      while (auto planned = scheduler_->next_step(now(), events_))
        submit(std::move(*planned));
    } while (flush_events());
    metrics_.update(scheduler_->load(), scheduler_->counters());
    finish_drain();
  }

  /// The events list to pass to scheduler calls; flushed by advance().
  scheduler_events& events() { return events_; }

  load_report report() const {
    auto load = scheduler_->load();
    return {config_.id,
            config_.worker_epoch,
            load.tightest().blocks,
            load.tightest().free_blocks,
            load.tightest().quarantined_blocks,
            load.running + load.landing,
            load.queued,
            load.prefill_tokens,
            load.landing,
            scheduler_->counters().steps,
            draining_};
  }

  caf::result<void> drain(const drain_request& what) {
    draining_ = true;
    auto promise = self_->template make_response_promise<void>();
    drained_.push_back(promise);
    self_->run_delayed(what.time_left, [this] {
      scheduler_->fail_all(errc::draining, "the drain limit was reached", events_);
      advance();
    });
    finish_drain();
    return promise;
  }

private:
  bool registered() const {
    return !regions_.empty() && std::ranges::all_of(regions_, [](auto& region) { return region.has_value(); });
  }

  scheduler_config capped(scheduler_config limits) const {
    auto& group = info_.groups.front();
    limits.blocks = group.blocks;
    limits.block_tokens = group.block_tokens;
    if (info_.groups.size() > 1) {
      limits.window_tokens = info_.groups[1].window_tokens;
      limits.window_blocks = info_.groups[1].blocks;
    }
    limits.context_tokens = info_.context_tokens;
    limits.slots = info_.slots_max;
    limits.rows_max = std::min(limits.rows_max, info_.rows_max);
    limits.step_tokens_max = std::min(limits.step_tokens_max, info_.tokens_max);
    limits.chunk_tokens_max = std::min(limits.chunk_tokens_max, limits.step_tokens_max);
    limits.running_max = std::min(limits.running_max, info_.slots_max);
    limits.steps_in_flight_max = std::min(limits.steps_in_flight_max, info_.steps_in_flight_max);
    return limits;
  }

  void submit(planned_step planned) {
    self_->request(device_, config_.step_time_max, std::move(planned))
      .then(
        [this](const gpu::step_result& result) {
          if (result.code != gpu::errc::none) {
            stop(failure_of(result));
            return;
          }
          scheduler_->complete(result, events_);
          advance();
        },
        [this](const caf::error& e) {
          // Silence is the device's fault; an actor that ended without a word is a defect of ours.
          auto hung = e == caf::sec::request_timeout;
          stop({hung ? errc::device_failed : errc::internal,
                hung ? "the device did not answer in time" : "the device actor ended"});
        });
  }

  static error failure_of(const gpu::step_result& result) {
    // The scheduler submits nothing that a sound executor refuses: any other code is a defect.
    auto lost = result.code == gpu::errc::device_lost || result.code == gpu::errc::resource;
    return {lost ? errc::device_failed : errc::internal, gpu::to_string(result.code) + ": " + result.context};
  }

  void stop(const error& why) {
    // To a request it's a lost worker, whatever ended that: another may do better.
    scheduler_->fail_all(errc::worker_lost, why.context, events_);
    flush_events();
    self_->quit(to_caf_error(why));
  }

  /// False if there was nothing to tell. The worker's reaction may cause further events or steps.
  bool flush_events() {
    if (empty(events_))
      return false;
    auto batch = std::exchange(events_, {});
    act_(batch);
    return true;
  }

  static bool empty(const scheduler_events& e) {
    return e.tokens.empty() && e.finishes.empty() && e.failures.empty() && e.reservations.empty() && e.prefills.empty();
  }

  void finish_drain() {
    if (drained_.empty() || !scheduler_->idle() || !is_settled_())
      return;
    for (auto& promise : std::exchange(drained_, {}))
      promise.deliver();
  }

  void tick() {
    scheduler_->expire(now(), events_);
    advance();
    greet();
    self_->run_delayed(config_.tick_interval, [this] { tick(); });
  }

  /// Introduces the worker to a directory that does not know it as it is, and reports its load.
  void greet() {
    if (auto directory = local_services::find<directory_actor>(self_->system(), local_services::directory)) {
      if (directory.address() != directory_) {
        directory_ = directory.address();
        introduce(directory);
      }
      self_->send(directory, report());
    }
  }

  void introduce(const directory_actor& directory) {
    worker_record record{config_.id,
                         config_.worker_epoch,
                         config_.model,
                         config_.vocabulary,
                         info_.fingerprint,
                         info_.numerics,
                         roles_,
                         block_tokens(),
                         block_bytes(),
                         info_.groups.front().blocks,
                         info_.context_tokens,
                         endpoint_id(),
                         info_.description};
    self_->send(directory, fleet_member{std::move(record), caf::actor_cast<caf::strong_actor_ptr>(self_)});
    if constexpr (std::is_same_v<Handle, decode_worker_actor>)
      self_->send(directory, caf::actor_cast<fleet_sink_actor>(self_));
  }

  pointer self_;
  worker_config config_;
  std::uint32_t roles_;
  std::function<void(scheduler_events&)> act_;
  std::function<bool()> is_settled_;
  worker_metrics metrics_;
  gpu::executor_info info_;
  /// Of each cache group.
  std::vector<region_view> memories_;
  std::unique_ptr<scheduler> scheduler_;
  scheduler_events events_;
  device_actor device_;
  transport_endpoint_actor endpoint_;
  /// Of each cache group, as far as the endpoint has registered them.
  std::vector<std::optional<region_registered>> regions_;
  /// The directory that knows this worker as it is.
  caf::actor_addr directory_;
  bool draining_ = false;
  std::vector<caf::typed_response_promise<void>> drained_;
};

} // namespace troupe
