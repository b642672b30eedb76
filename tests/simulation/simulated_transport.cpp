// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/simulated_transport.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "tests/support/take_news.hpp"

namespace troupe::test {

namespace {

using transport::errc;

unexpected<transport::error> refuse(errc code, const char* why) { return unexpected{transport::error{code, why}}; }

} // namespace

// -- fabric ----------------------------------------------------------------------------------------

std::unique_ptr<transport::backend> simulated_fabric::make(network_port& port, std::function<void()> news) {
  return std::make_unique<simulated_backend>(*this, port, std::move(news));
}

simulated_backend* simulated_fabric::find(transport::peer_id id) const {
  auto i = members_.find(id);
  return i == members_.end() ? nullptr : i->second;
}

void simulated_fabric::kill(network_port& port) {
  for (auto& [id, b] : members_) {
    if (&b->port_ != &port)
      continue;
    b->dead_ = true;
    // The copy that runs is cut short somewhere.
    if (!b->queue_.empty() && b->queue_.front().copying && random_.below(2) == 0)
      b->end();
    for (auto& [other, o] : members_)
      for (auto& t : b->queue_)
        o->note_end(id, t.what);
    b->queue_.clear();
  }
  std::erase_if(members_, [&](auto& kv) { return &kv.second->port_ == &port; });
}

void simulated_fabric::thaw(network_port& port) {
  for (auto& [id, b] : members_)
    if (&b->port_ == &port && std::exchange(b->stopped_, false))
      b->work();
}

// -- back end --------------------------------------------------------------------------------------

simulated_backend::simulated_backend(simulated_fabric& fabric, network_port& port, std::function<void()> news)
  : fabric_(fabric), port_(port), news_(std::move(news)), self_(transport::peer_id{fabric.random_.next() | 1}) {
  fabric_.members_.emplace(self_, this);
}

simulated_backend::~simulated_backend() {
  *alive_ = false;
  fabric_.members_.erase(self_);
  for (auto& [id, other] : fabric_.members_)
    for (auto& t : queue_)
      other->note_end(self_, t.what);
}

expected<region_id, transport::error> simulated_backend::add_region(region_view view) {
  auto id = region_id{static_cast<std::uint32_t>(++fabric_.numbers_)};
  regions_.emplace(id, region{std::move(view), {}});
  return id;
}

void simulated_backend::remove_region(region_id id) { regions_.erase(id); }

expected<std::string, transport::error> simulated_backend::describe(region_id id, transport::peer_id reader) {
  auto i = regions_.find(id);
  if (i == regions_.end())
    return refuse(errc::unknown_region, "no such region");
  auto [permission, added] = i->second.readers.try_emplace(reader, fabric_.numbers_ + 1);
  if (added)
    ++fabric_.numbers_;
  return fmt::format("{} {}", id.value, permission->second);
}

expected<transport::remote_region, transport::error> simulated_backend::import(transport::peer_id owner,
                                                                               std::string_view text) {
  place where{owner, {}, 0};
  unsigned long long region = 0;
  unsigned long long permission = 0;
  if (std::sscanf(std::string{text}.c_str(), "%llu %llu", &region, &permission) != 2)
    return refuse(errc::invalid_argument, "not a description");
  where.region = region_id{static_cast<std::uint32_t>(region)};
  where.permission = permission;
  for (auto& [id, known] : imported_)
    if (known == where)
      return id;
  auto id = transport::remote_region{static_cast<std::uint32_t>(++fabric_.numbers_)};
  imported_.emplace(id, where);
  return id;
}

expected<transport::ticket, transport::error>
simulated_backend::write(region_id source, std::span<const transport::run> from, transport::remote_region target,
                         std::span<const transport::run> to, std::span<const std::byte> note,
                         transport::steady_time deadline) {
  auto place = imported_.find(target);
  if (place == imported_.end())
    return refuse(errc::peer_gone, "not imported");
  if (from.size() != 1 || to.size() != 1 || from[0].count != 1 || to[0].count != 1 || from[0].bytes != to[0].bytes)
    return refuse(errc::invalid_argument, "the simulation moves one block at a time");
  auto refused = fabric_.refuse_one_of != 0 && fabric_.random_.below(fabric_.refuse_one_of) == 0;
  if (queue_.size() >= caps().transfers_max || (refused && !queue_.empty()))
    return refuse(errc::no_credit, "too many transfers");
  auto ticket = transport::ticket{++fabric_.numbers_};
  queue_.push_back({ticket, source, place->second, from[0], to[0], {note.begin(), note.end()}, deadline});
  work();
  return ticket;
}

/// Plans the next event of the oldest transfer.
void simulated_backend::work() {
  if (working_ || queue_.empty() || dead_)
    return;
  working_ = true;
  auto& random = fabric_.random_;
  auto stalls = fabric_.stalls_left > 0 && fabric_.stall_one_of != 0 && random.below(fabric_.stall_one_of) == 0;
  fabric_.stalls_left -= stalls ? 1 : 0;
  auto wait = stalls ? std::chrono::microseconds{random.below(
                         static_cast<std::uint32_t>(std::chrono::microseconds{fabric_.stall_max}.count()))}
                     : std::chrono::microseconds{random.below(400) + 1};
  fabric_.time_.after(wait, [this, alive = alive_] {
    if (!*alive || dead_)
      return;
    working_ = false;
    if (port_.is_frozen()) {
      stopped_ = true;
      return;
    }
    if (queue_.front().copying)
      end();
    else
      begin();
    work();
  });
}

errc simulated_backend::check(const transfer& t) const {
  auto source = regions_.find(t.source);
  if (source == regions_.end() || t.source_run.offset + t.source_run.bytes > source->second.view.bytes)
    return errc::unknown_region;
  auto* owner = fabric_.find(t.target.owner);
  if (!owner)
    return errc::peer_gone;
  auto target = owner->regions_.find(t.target.region);
  if (target == owner->regions_.end() || t.target_run.offset + t.target_run.bytes > target->second.view.bytes)
    return errc::unknown_region;
  auto permission = target->second.readers.find(self_);
  return permission != target->second.readers.end() && permission->second == t.target.permission ? errc::none
                                                                                                 : errc::unknown_region;
}

void simulated_backend::begin() {
  auto& t = queue_.front();
  if (fabric_.time_.now() > t.deadline) {
    finish(errc::timed_out);
    return;
  }
  if (auto code = check(t); code != errc::none)
    finish(code);
  else
    t.copying = true;
}

/// The bytes land, unless the memory is gone.
void simulated_backend::end() {
  auto& t = queue_.front();
  auto* owner = fabric_.find(t.target.owner);
  auto source = regions_.find(t.source);
  if (!owner || source == regions_.end() || !owner->regions_.contains(t.target.region)) {
    finish(owner ? errc::unknown_region : errc::peer_gone);
    return;
  }
  auto& target = owner->regions_.at(t.target.region);
  auto* landed = target.view.data + t.target_run.offset;
  std::memcpy(landed, source->second.view.data + t.source_run.offset, t.target_run.bytes);
  if (fabric_.flip_one_of != 0 && fabric_.random_.below(fabric_.flip_one_of) == 0)
    landed[fabric_.random_.below(static_cast<std::uint32_t>(t.target_run.bytes))] ^= std::byte{1};
  bytes_moved_ += t.target_run.bytes;
  if (check(t) != errc::none)
    ++fabric_.late_landings_;
  if (!t.note.empty()) {
    transport::arrival news{self_, t.target.region, {}, static_cast<std::uint8_t>(t.note.size())};
    std::ranges::copy(t.note, news.note.begin());
    owner->arrivals_.push_back(news);
    owner->news_();
  }
  finish(errc::none);
}

void simulated_backend::finish(errc result) {
  auto what = queue_.front().what;
  queue_.pop_front();
  complete(what, result);
  for (auto& [id, other] : fabric_.members_)
    other->note_end(self_, what);
}

void simulated_backend::complete(transport::ticket what, errc result) {
  completions_.push_back({what, result, 0});
  news_();
}

void simulated_backend::note_end(transport::peer_id writer, transport::ticket what) {
  for (auto& f : fences_)
    if (f.writer == writer)
      f.awaited.erase(what);
  std::vector<transport::ticket> done;
  std::erase_if(fences_, [&](auto& f) {
    if (!f.awaited.empty())
      return false;
    done.push_back(f.what);
    return true;
  });
  for (auto ticket : done)
    complete(ticket, errc::none);
}

expected<transport::ticket, transport::error> simulated_backend::fence(transport::peer_id writer) {
  open_fence f{transport::ticket{++fabric_.numbers_}, writer, {}};
  if (auto* other = fabric_.find(writer); other && !fabric_.fences_lie)
    for (auto& t : other->queue_)
      if (t.target.owner == self_)
        f.awaited.insert(t.what);
  auto ticket = f.what;
  if (f.awaited.empty())
    complete(ticket, errc::none);
  else
    fences_.push_back(std::move(f));
  return ticket;
}

void simulated_backend::forget(transport::peer_id peer) {
  for (auto& [id, r] : regions_)
    r.readers.erase(peer);
  std::erase_if(imported_, [&](auto& kv) { return kv.second.owner == peer; });
}

transport::polled simulated_backend::poll(std::span<transport::completion> completions,
                                          std::span<transport::arrival> arrivals) {
  return take_news(completions_, arrivals_, completions, arrivals);
}

} // namespace troupe::test
