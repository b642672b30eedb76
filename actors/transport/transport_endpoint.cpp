// SPDX-License-Identifier: Apache-2.0
#include "actors/transport/transport_endpoint.hpp"

#include <array>
#include <map>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/telemetry/metric_registry.hpp>
#include <fmt/format.h>

#include "actors/log/unhandled_exception.hpp"
#include "actors/transport/block_note.hpp"
#include "messages/caf_error.hpp"

namespace troupe {

namespace {

/// Waits on the back end and posts what it reports, until `stop_fd` is readable.
void poll_until_stopped(transport::backend& backend, int stop_fd, const caf::weak_actor_ptr& endpoint) {
  std::array<pollfd, 2> fds{pollfd{backend.wake_fd(), POLLIN, 0}, pollfd{stop_fd, POLLIN, 0}};
  for (;;) {
    if (::poll(fds.data(), fds.size(), -1) < 0)
      continue; // a signal
    if (fds[1].revents != 0)
      return;
    auto events = poll_once(backend);
    if (events.completions.empty() && events.arrivals.empty())
      continue;
    if (auto strong = endpoint.lock())
      caf::anon_send(caf::actor_cast<local_transport_endpoint_actor>(strong), std::move(events));
  }
}

caf::error transfer_error(const transport::error& e) {
  return to_caf_error({errc::transfer_failed, transport::to_string(e.code) + ": " + e.context});
}

} // namespace

transport_events poll_once(transport::backend& backend) {
  transport_events result;
  std::array<transport::completion, 256> completions;
  std::array<transport::arrival, 256> arrivals;
  for (;;) {
    auto [n_completions, n_arrivals] = backend.poll(completions, arrivals);
    result.completions.insert(result.completions.end(), completions.begin(), completions.begin() + n_completions);
    result.arrivals.insert(result.arrivals.end(), arrivals.begin(), arrivals.begin() + n_arrivals);
    if (n_completions < completions.size() && n_arrivals < arrivals.size())
      return result;
  }
}

transport_endpoint_state::transport_endpoint_state(local_transport_endpoint_actor::pointer self,
                                                   transport_endpoint_config config)
  : self_(self), config_(std::move(config)) {
  auto& registry = self->system().metrics();
  bytes_ = registry.counter_singleton("troupe.transport", "moved", "Bytes written into regions.", "bytes", true);
  failed_writes_ =
    registry.counter_singleton("troupe.transport", "failed-writes", "Block writes that failed.", "1", true);
}

transport_endpoint_state::~transport_endpoint_state() {
  if (poller_.joinable()) {
    std::uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(stop_fd_, &one, sizeof one);
    poller_.join();
  }
  if (stop_fd_ >= 0)
    ::close(stop_fd_);
  // Withdraws all regions before their memory is let go.
  for (auto& [id, r] : regions_)
    config_.backend->remove_region(id);
}

local_transport_endpoint_actor::behavior_type transport_endpoint_state::make_behavior() {
  log_unhandled_exceptions(self_);
  self_->set_down_handler([this](const caf::down_msg& down) { sink_down(down.source); });
  if (config_.poll == transport_endpoint_config::polling::thread) {
    stop_fd_ = ::eventfd(0, EFD_CLOEXEC);
    if (stop_fd_ < 0) {
      self_->quit(to_caf_error({errc::resource, "no file descriptor for the poll thread"}));
      return local_transport_endpoint_actor::behavior_type::make_empty_behavior();
    }
    caf::weak_actor_ptr me{self_->ctrl()};
    poller_ = std::thread{[backend = config_.backend, fd = stop_fd_, me] { poll_until_stopped(*backend, fd, me); }};
  }
  return {
    [this](register_region& what, kv_sink_actor& sink) { return add_region(what, sink); },
    [this](const describe_region& what) { return describe(what); },
    [this](push_blocks& what) { return push(what); },
    [this](const fence_writer& what) { return fence(what.writer); },
    [this](const transport_events& events) { act(events); },
  };
}

// -- regions --------------------------------------------------------------------------------------

caf::result<region_registered> transport_endpoint_state::add_region(register_region& what, kv_sink_actor& sink) {
  if (regions_.size() >= config_.regions_max)
    return to_caf_error({errc::resource, fmt::format("more than {} regions", config_.regions_max)});
  auto added = config_.backend->add_region(what.view);
  if (!added)
    return transfer_error(added.error());
  self_->monitor(sink);
  regions_.insert_or_assign(*added, region{std::move(sink), std::move(what.view)});
  return region_registered{*added, {config_.backend->self().value}};
}

caf::result<std::string> transport_endpoint_state::describe(const describe_region& what) {
  auto description = config_.backend->describe(what.region, {what.writer.value});
  if (!description)
    return transfer_error(description.error());
  return std::move(*description);
}

void transport_endpoint_state::sink_down(const caf::actor_addr& who) {
  std::erase_if(regions_, [&](auto& kv) {
    if (kv.second.sink.address() != who)
      return false;
    config_.backend->remove_region(kv.first); // waits for a copy that runs in it
    return true;
  });
}

// -- transfers ------------------------------------------------------------------------------------

caf::result<blocks_pushed> transport_endpoint_state::push(push_blocks& what) {
  if (what.blocks.empty())
    return blocks_pushed{};
  if (waiting_.size() + what.blocks.size() > config_.waiting_max)
    return to_caf_error(
      {errc::transfer_failed, fmt::format("more than {} blocks wait for transfer", config_.waiting_max)});
  auto target = config_.backend->import({what.owner.value}, what.target);
  if (!target)
    return transfer_error(target.error());
  auto count = static_cast<std::uint32_t>(what.blocks.size());
  auto deadline = self_->clock().now() + what.time_left;
  auto of = std::make_shared<order>(order{self_->make_response_promise<blocks_pushed>(), count, count});
  for (auto& block : what.blocks)
    waiting_.push_back({of, what.source, *target, what.block_bytes, block, deadline});
  post_waiting();
  return of->promise;
}

void transport_endpoint_state::post_waiting() {
  while (!waiting_.empty()) {
    auto& w = waiting_.front();
    transport::run source{w.block.source_offset, w.block_bytes, w.block_bytes, 1};
    transport::run target{w.block.target_offset, w.block_bytes, w.block_bytes, 1};
    auto note = encode_block_note(w.block.note);
    auto ticket =
      config_.backend->write(w.source, std::span{&source, 1}, w.target, std::span{&target, 1}, note, w.deadline);
    if (!ticket && ticket.error().code == transport::errc::no_credit && !writes_.empty())
      return; // a completion will bring us back here
    if (ticket)
      writes_.emplace(*ticket, w.of);
    else
      finish_block(*w.of, ticket.error().code);
    waiting_.pop_front();
  }
}

void transport_endpoint_state::act(const transport_events& events) {
  note_arrivals(events.arrivals);
  for (auto& completion : events.completions)
    complete(completion);
  if (auto moved = config_.backend->bytes_moved(); moved > bytes_reported_) {
    bytes_->inc(static_cast<std::int64_t>(moved - bytes_reported_));
    bytes_reported_ = moved;
  }
  post_fences(); // first, or a backlog of writes takes all credit for ever
  post_waiting();
  post_fences();
}

void transport_endpoint_state::note_arrivals(const std::vector<transport::arrival>& arrivals) {
  std::map<region_id, kv_blocks_arrived> by_region;
  for (auto& a : arrivals)
    if (auto note = decode_block_note(std::span{a.note}.first(a.note_bytes)))
      by_region[a.region].blocks.push_back(*note);
  for (auto& [id, blocks] : by_region)
    if (auto i = regions_.find(id); i != regions_.end())
      self_->send(i->second.sink, std::move(blocks));
}

void transport_endpoint_state::complete(const transport::completion& completion) {
  if (auto i = writes_.find(completion.what); i != writes_.end()) {
    auto of = std::move(i->second);
    writes_.erase(i);
    finish_block(*of, completion.result);
  } else if (auto f = fences_.find(completion.what); f != fences_.end()) {
    if (completion.result == transport::errc::none)
      f->second.deliver();
    else
      f->second.deliver(transfer_error({completion.result, "a fence"}));
    fences_.erase(f);
  }
}

void transport_endpoint_state::finish_block(order& of, transport::errc result) {
  if (result != transport::errc::none) {
    failed_writes_->inc();
    of.result = result;
  }
  if (--of.open > 0)
    return;
  if (of.result == transport::errc::none)
    of.promise.deliver(blocks_pushed{of.blocks});
  else
    of.promise.deliver(transfer_error({of.result, "pushing blocks"}));
}

/// What was described to the writing endpoint, be it this one, is withdrawn: whatever is not posted yet is refused from
/// now on, also what waits here for credit, and what a writer that hangs has not asked for. The fence is for what was
/// posted.
caf::result<void> transport_endpoint_state::fence(transport_peer writer) {
  config_.backend->forget({writer.value});
  auto promise = self_->make_response_promise<void>();
  waiting_fences_.push_back({writer, promise});
  post_fences();
  return promise;
}

void transport_endpoint_state::post_fences() {
  while (!waiting_fences_.empty()) {
    auto& next = waiting_fences_.front();
    auto ticket = config_.backend->fence({next.writer.value});
    if (!ticket && ticket.error().code == transport::errc::no_credit && !(writes_.empty() && fences_.empty()))
      return; // a completion will bring us back here
    auto promise = std::move(next.promise);
    waiting_fences_.pop_front();
    if (ticket)
      fences_.emplace(*ticket, std::move(promise));
    else
      promise.deliver(transfer_error(ticket.error()));
  }
}

local_transport_endpoint_actor spawn_transport_endpoint(caf::actor_system& system, transport_endpoint_config config) {
  return system.spawn<local_transport_endpoint_actor::stateful_impl<transport_endpoint_state>>(std::move(config));
}

} // namespace troupe
