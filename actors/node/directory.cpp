// SPDX-License-Identifier: Apache-2.0
#include "actors/node/directory.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "actors/log/log.hpp"
#include "actors/log/unhandled_exception.hpp"
#include "messages/caf_error.hpp"

namespace troupe {

directory_state::directory_state(directory_actor::pointer self, directory_config config)
  : self_(self), config_(std::move(config)), counted_at_(self->clock().now()) {}

directory_actor::behavior_type directory_state::make_behavior() {
  log_unhandled_exceptions(self_);
  self_->set_down_handler([this](const caf::down_msg& down) { forget(down.source); });
  tick();
  return {
    [this](fleet_member& who) { return introduce(std::move(who)); },
    [this](fleet_sink_actor& sink) { return subscribe(std::move(sink)); },
    [this](const load_report& report) { note(report); },
    [this](find_health) { return health(); },
    [this](share_sink_actor& links) { share_with(std::move(links)); },
    [this](fleet_share& offer) { take(offer); },
    [this](const node_left& gone) { leave(gone); },
  };
}

// -- this node's workers --------------------------------------------------------------------------

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
  member next{std::move(who), {}, {}, counted_, counted_};
  if (i != members_.end() && i->second.who.record.worker_epoch == next.who.record.worker_epoch) {
    next.load = i->second.load; // it is the same one, with another endpoint: if it drained it still does
    next.progressed = i->second.progressed;
  }
  members_[next.who.record.id] = std::move(next);
  publish();
  return caf::unit;
}

void directory_state::note(const load_report& report) {
  auto i = members_.find(report.worker);
  if (i == members_.end() || i->second.who.record.worker_epoch != report.worker_epoch)
    return;
  auto& m = i->second;
  m.reported = counted_;
  m.has_news = true;
  if (report.steps != m.load.steps || !report.work_waits() || !m.load.work_waits())
    m.progressed = counted_;
  auto drains = report.draining && !m.load.draining;
  m.load = report;
  if (drains)
    publish();
  if (m.is_hung)
    judge(); // not only at the next tick: it may be the only one
}

// -- who hangs ------------------------------------------------------------------------------------

/// Times are those of the tick before, so it is at least that long, and less than a tick longer.
bool directory_state::is_silent(const member& m) const { return counted_ - m.reported > config_.silence_max; }

bool directory_state::is_stalled(const member& m) const {
  return m.load.work_waits() && counted_ - m.progressed >= config_.stall_max;
}

/// Another worker that can do the same, and does.
bool directory_state::has_better(const member& m) const {
  return std::ranges::any_of(members_, [&](auto& kv) {
    auto& other = kv.second;
    return &other != &m && other.who.record.model == m.who.record.model
           && (other.who.record.roles & m.who.record.roles) == m.who.record.roles && !other.load.draining
           && !is_silent(other) && !is_stalled(other);
  });
}

void directory_state::judge() {
  auto changed = false;
  for (auto& [id, m] : members_) {
    auto silent = is_silent(m);
    auto hangs = silent || (is_stalled(m) && has_better(m));
    if (std::exchange(m.is_hung, hangs) == hangs)
      continue;
    changed = true;
    if (hangs)
      log_warning("directory", "a worker hangs and is left",
                  {{"worker", std::to_string(id.value)},
                   {"node", m.node},
                   {"why", silent ? "it is not heard of" : "it finishes no step"}});
    else
      log_info("directory", "a worker that hung is back", {{"worker", std::to_string(id.value)}, {"node", m.node}});
  }
  if (changed)
    publish();
}

// -- other nodes ----------------------------------------------------------------------------------

void directory_state::share_with(share_sink_actor links) {
  if (links_ != links) {
    links_ = std::move(links);
    self_->monitor(links_);
  }
  share(); // asked for again: somebody new listens
}

void directory_state::share() {
  if (!links_)
    return;
  fleet_share offer{config_.node, config_.life, {}, {}, {}};
  for (auto& [id, m] : members_)
    if (m.node.empty()) {
      offer.members.push_back(m.who);
      // What is old would look like news over there.
      if (std::exchange(m.has_news, false))
        offer.loads.push_back(m.load);
    }
  self_->send(links_, std::move(offer));
}

void directory_state::tick() {
  auto now = self_->clock().now();
  counted_ += std::min<std::chrono::nanoseconds>(now - std::exchange(counted_at_, now), 2 * config_.share_interval);
  judge();
  share();
  self_->run_delayed(config_.share_interval, [this] { tick(); });
}

void directory_state::take(fleet_share& offer) {
  auto known = nodes_.find(offer.node);
  if (offer.node.empty() || offer.node == config_.node || (known != nodes_.end() && offer.life < known->second))
    return;
  nodes_[offer.node] = offer.life;
  auto offered = [&](const member& m) {
    return std::ranges::any_of(offer.members, [&](auto& o) { return o == m.who; });
  };
  auto changed = drop_members([&](const member& m) { return m.node == offer.node && !offered(m); });
  for (auto& who : offer.members) {
    auto i = members_.find(who.record.id);
    // Two workers of one id are two nodes of one name or address: the first is kept.
    if (!who.handle || i != members_.end() || members_.size() >= config_.workers_max
        || !is_welcome(offer.node, who.record))
      continue;
    self_->monitor(who.handle);
    auto id = who.record.id;
    members_[id] = member{std::move(who), offer.node, {}, counted_, counted_};
    changed = true;
  }
  if (changed)
    publish();
  for (auto& load : offer.loads)
    if (auto i = members_.find(load.worker); i != members_.end() && i->second.node == offer.node)
      note(load);
}

/// Whether this node's frontend can make use of it, or there is none.
bool directory_state::is_welcome(const std::string& node, const worker_record& record) {
  if (config_.known_models.empty())
    return true;
  auto known = config_.known_models.find(record.model);
  if (known == config_.known_models.end()) {
    warn_once(node, record, "a model of the cluster is not in this node's file: its clients cannot ask for it");
    return true;
  }
  if (known->second == record.vocabulary)
    return true;
  warn_once(node, record, "workers are left out: their model has another vocabulary than the one in this node's file");
  return false;
}

/// Shares come several times a second.
void directory_state::warn_once(const std::string& node, const worker_record& record, std::string_view what) {
  auto key = fmt::format("{} {} {}", node, record.vocabulary.value, record.model);
  if (warnings_.size() < config_.workers_max && warnings_.insert(std::move(key)).second)
    log_warning("directory", what, {{"model", record.model}, {"node", node}});
}

void directory_state::leave(const node_left& gone) {
  auto known = nodes_.find(gone.node);
  if (known == nodes_.end() || known->second != gone.life)
    return;
  nodes_.erase(known);
  if (drop_members([&](const member& m) { return m.node == gone.node; }))
    publish();
}

bool directory_state::drop_members(const std::function<bool(const member&)>& gone) {
  return std::erase_if(members_,
                       [&](auto& kv) {
                         if (!gone(kv.second))
                           return false;
                         self_->demonitor(kv.second.who.handle);
                         return true;
                       })
         > 0;
}

// -- followers ------------------------------------------------------------------------------------

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

node_health directory_state::health() const {
  node_health result;
  result.workers = static_cast<std::uint32_t>(members_.size());
  std::uint32_t roles = 0;
  for (auto& [id, m] : members_) {
    using std::chrono::duration_cast;
    using std::chrono::seconds;
    auto silent = is_silent(m);
    auto stalled = is_stalled(m);
    // A worker elsewhere that hangs is that node's problem, but nobody to count on.
    if (((!silent && !stalled) || m.node.empty())
        && (config_.known_models.empty() || config_.known_models.contains(m.who.record.model)))
      roles |= m.who.record.roles;
    if (silent && m.node.empty())
      result.problems.push_back(fmt::format("worker {} has not been heard of for {} s", id.value,
                                            duration_cast<seconds>(counted_ - m.reported).count()));
    else if (stalled && m.node.empty())
      result.problems.push_back(fmt::format("worker {} finished no step in {} s while work waits", id.value,
                                            duration_cast<seconds>(counted_ - m.progressed).count()));
  }
  if ((config_.roles_needed & role_decode & ~roles) != 0)
    result.problems.emplace_back("no decode worker is registered");
  if ((config_.roles_needed & role_prefill & ~roles) != 0)
    result.problems.emplace_back("no prefill worker is registered");
  return result;
}

void directory_state::forget(const caf::actor_addr& who) {
  if (links_ && links_.address() == who)
    links_ = share_sink_actor{};
  std::erase_if(subscribers_, [&](auto& s) { return s.address() == who; });
  if (std::erase_if(members_, [&](auto& kv) { return kv.second.who.handle == who; }) > 0)
    publish();
}

void directory_state::publish() {
  auto fleet = snapshot();
  for (auto& sink : subscribers_)
    self_->send(sink, fleet);
  share();
}

fleet_snapshot directory_state::snapshot() const {
  fleet_snapshot result;
  for (auto& [id, m] : members_)
    if (m.is_hung)
      result.hung.push_back(id);
    else if (!m.load.draining)
      result.members.push_back(m.who);
  return result;
}

directory_actor spawn_directory(caf::actor_system& system, directory_config config) {
  return system.spawn<directory_actor::stateful_impl<directory_state>>(std::move(config));
}

} // namespace troupe
