// SPDX-License-Identifier: Apache-2.0
#include "actors/node/directory.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "actors/log/unhandled_exception.hpp"
#include "messages/caf_error.hpp"

namespace troupe {

directory_state::directory_state(directory_actor::pointer self, directory_config config)
  : self_(self), config_(config) {}

directory_actor::behavior_type directory_state::make_behavior() {
  log_unhandled_exceptions(self_);
  self_->set_down_handler([this](const caf::down_msg& down) { forget(down.source); });
  return {
    [this](fleet_member& who) { return introduce(std::move(who)); },
    [this](fleet_sink_actor& sink) { return subscribe(std::move(sink)); },
    [this](const load_report& report) { note(report); },
    [this](find_health) { return health(); },
  };
}

caf::result<void> directory_state::introduce(fleet_member who) {
  if (!who.handle)
    return to_caf_error({errc::invalid_argument, "a worker without a handle"});
  auto i = members_.find(who.record.id);
  if (i == members_.end() && members_.size() >= config_.workers_max)
    return to_caf_error({errc::resource, fmt::format("more than {} workers", config_.workers_max)});
  if (i != members_.end()) {
    if (who.record.worker_epoch < i->second.who.record.worker_epoch)
      return to_caf_error({errc::stale, "the worker is known in a later epoch"});
    self_->demonitor(i->second.who.handle);
  }
  self_->monitor(who.handle);
  auto id = who.record.id;
  members_[id] = member{std::move(who), {}, self_->clock().now()};
  publish();
  return caf::unit;
}

caf::result<void> directory_state::subscribe(fleet_sink_actor sink) {
  if (std::ranges::find(subscribers_, sink) != subscribers_.end())
    return caf::unit;
  if (subscribers_.size() >= config_.subscribers_max)
    return to_caf_error({errc::resource, fmt::format("more than {} followers", config_.subscribers_max)});
  // A follower may be a member too, so the down handler looks in both lists.
  self_->monitor(sink);
  self_->send(sink, snapshot());
  subscribers_.push_back(std::move(sink));
  return caf::unit;
}

void directory_state::note(const load_report& report) {
  auto i = members_.find(report.worker);
  if (i == members_.end() || i->second.who.record.worker_epoch != report.worker_epoch)
    return;
  auto& m = i->second;
  if (report.steps != m.load.steps || !report.work_waits() || !m.load.work_waits())
    m.progressed = self_->clock().now();
  m.load = report;
}

node_health directory_state::health() const {
  node_health result;
  result.workers = static_cast<std::uint32_t>(members_.size());
  std::uint32_t roles = 0;
  auto now = self_->clock().now();
  for (auto& [id, m] : members_) {
    roles |= m.who.record.roles;
    if (m.load.work_waits() && now - m.progressed >= config_.stall_max)
      result.problems.push_back(
        fmt::format("worker {} finished no step in {} s while work waits", id.value,
                    std::chrono::duration_cast<std::chrono::seconds>(now - m.progressed).count()));
  }
  if ((config_.roles_needed & role_decode & ~roles) != 0)
    result.problems.emplace_back("no decode worker is registered");
  if ((config_.roles_needed & role_prefill & ~roles) != 0)
    result.problems.emplace_back("no prefill worker is registered");
  return result;
}

void directory_state::forget(const caf::actor_addr& who) {
  std::erase_if(subscribers_, [&](auto& s) { return s.address() == who; });
  if (std::erase_if(members_, [&](auto& kv) { return kv.second.who.handle == who; }) > 0)
    publish();
}

void directory_state::publish() {
  ++version_;
  auto fleet = snapshot();
  for (auto& sink : subscribers_)
    self_->send(sink, fleet);
}

fleet_snapshot directory_state::snapshot() const {
  fleet_snapshot result{version_, {}};
  for (auto& [id, m] : members_)
    result.members.push_back(m.who);
  return result;
}

directory_actor spawn_directory(caf::actor_system& system, directory_config config) {
  return system.spawn<directory_actor::stateful_impl<directory_state>>(config);
}

} // namespace troupe
