// SPDX-License-Identifier: Apache-2.0
#include "transport/memory/memory_backend.hpp"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "transport/memory/description.hpp"
#include "transport/runs.hpp"

namespace troupe::transport {

namespace {

// How much is copied between two looks at the request to stop: about 0.1 ms.
constexpr std::uint64_t piece_bytes_max = std::uint64_t{1} << 20;

} // namespace

expected<std::unique_ptr<memory_backend>, error> memory_backend::make(std::shared_ptr<memory_fabric> fabric,
                                                                      peer_id self, memory_config config) {
  auto wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0)
    return fail(errc::resource, std::string{"cannot make an eventfd: "} + std::strerror(errno));
  std::unique_ptr<memory_backend> result{new memory_backend(std::move(fabric), self, config, wake_fd)};
  if (!result->join())
    return fail(errc::invalid_argument, "peer " + std::to_string(self.value) + " is a member of the fabric already");
  try {
    result->copier_ = std::thread{[self = result.get()] { self->copier_loop(); }};
  } catch (const std::system_error& e) {
    return fail(errc::resource, std::string{"cannot start the copier thread: "} + e.what());
  }
  ::pthread_setname_np(result->copier_.native_handle(), "troupe-memory");
  return result;
}

memory_backend::memory_backend(std::shared_ptr<memory_fabric> fabric, peer_id self, memory_config config, int wake_fd)
  : fabric_(std::move(fabric)), config_(config), wake_fd_(wake_fd), self_(self) {}

bool memory_backend::join() {
  std::lock_guard lock{fabric_->mutex_};
  return fabric_->members_.emplace(self_, this).second;
}

memory_backend::~memory_backend() {
  close();
  ::close(wake_fd_);
}

void memory_backend::close() {
  std::unique_lock lock{fabric_->mutex_};
  closed_ = true;
  stop_copying_ = true;
  work_.notify_all();
  if (copier_.joinable()) {
    lock.unlock();
    copier_.join();
    lock.lock();
  }
  // Peers may still be copying into our regions; afterwards they find none.
  for (auto& [id, r] : regions_)
    r.removed = true;
  fabric_->unpinned_.wait(
    lock, [this] { return std::all_of(regions_.begin(), regions_.end(), [](auto& r) { return r.second.pins == 0; }); });
  regions_.clear();
  finish_queued(errc::closed); // fences that peers put here after the thread's last look
  drop_fences_elsewhere();
  if (find_member(self_) == this) // another of the same id was refused
    fabric_->members_.erase(self_);
}

capabilities memory_backend::caps() const { return {config_.bytes_max, config_.runs_max, config_.transfers_max}; }

expected<region_id, error> memory_backend::add_region(region_view view) {
  if (view.data == nullptr || view.bytes == 0)
    return fail(errc::invalid_argument, "a region needs memory");
  std::lock_guard lock{fabric_->mutex_};
  if (closed_)
    return fail(errc::closed, "add_region");
  region_id id{++last_region_};
  regions_[id].view = view;
  return id;
}

void memory_backend::remove_region(region_id id) {
  std::unique_lock lock{fabric_->mutex_};
  auto i = regions_.find(id);
  if (i == regions_.end())
    return;
  i->second.removed = true;
  // Whoever of several callers wakes first erases it.
  fabric_->unpinned_.wait(lock, [&] {
    i = regions_.find(id);
    return i == regions_.end() || i->second.pins == 0;
  });
  if (i != regions_.end())
    regions_.erase(i);
}

expected<std::string, error> memory_backend::describe(region_id id, peer_id reader) {
  std::lock_guard lock{fabric_->mutex_};
  auto found = find_region(id);
  if (found == nullptr)
    return fail(errc::unknown_region, "region " + std::to_string(id.value));
  auto [permission, is_new] = found->readers.try_emplace(reader, last_permission_ + 1);
  last_permission_ += is_new ? 1 : 0;
  return to_text(description{self_, id, reader, permission->second});
}

expected<remote_region, error> memory_backend::import(peer_id owner, std::string_view text) {
  auto parsed = description_from_text(text);
  if (!parsed)
    return unexpected{parsed.error()};
  if (parsed->owner != owner || parsed->reader != self_)
    return fail(errc::unknown_region, "a description of another peer's region, or for another reader");
  std::lock_guard lock{fabric_->mutex_};
  place where{owner, parsed->region, parsed->permission};
  if (auto target = find_target(where); !target)
    return unexpected{target.error()};
  if (auto i = import_index_.find(where); i != import_index_.end())
    return i->second;
  if (imports_.size() >= config_.imports_max)
    return fail(errc::resource, "more than " + std::to_string(config_.imports_max) + " imported regions");
  // What was described earlier of it is withdrawn.
  std::erase_if(imports_, [&](auto& i) { return i.second.owner == owner && i.second.region == where.region; });
  std::erase_if(import_index_, [&](auto& i) { return i.first.owner == owner && i.first.region == where.region; });
  remote_region id{++last_import_};
  imports_.emplace(id, where);
  import_index_.emplace(where, id);
  return id;
}

expected<ticket, error> memory_backend::write(region_id source, std::span<const run> source_runs, remote_region target,
                                              std::span<const run> target_runs, std::span<const std::byte> note,
                                              steady_time deadline) {
  if (note.size() > note_bytes_max)
    return fail(errc::invalid_argument, "a note of " + std::to_string(note.size()) + " bytes");
  transfer copy{.source = source,
                .source_runs = {source_runs.begin(), source_runs.end()},
                .target_runs = {target_runs.begin(), target_runs.end()},
                .note_bytes = static_cast<std::uint8_t>(note.size()),
                .deadline = deadline};
  std::copy(note.begin(), note.end(), copy.note.begin());
  std::lock_guard lock{fabric_->mutex_};
  if (closed_)
    return fail(errc::closed, "write");
  auto imported = imports_.find(target);
  if (imported == imports_.end())
    return fail(errc::unknown_region, "remote region " + std::to_string(target.value));
  copy.target = imported->second;
  auto total = check_transfer(copy);
  if (!total)
    return unexpected{total.error()};
  copy.bytes = *total;
  if (operations_ >= config_.transfers_max)
    return fail(errc::no_credit, std::to_string(operations_) + " operations are outstanding");
  if (copy.note_bytes != 0) {
    auto owner = find_member(copy.target.owner);
    if (owner->arrivals_reserved_ >= owner->config_.transfers_max)
      return fail(errc::no_credit, "the target has " + std::to_string(owner->arrivals_reserved_) + " arrivals to poll");
    ++owner->arrivals_reserved_;
  }
  ++operations_;
  ticket what{++last_ticket_};
  queue_.push_back({what, self_, std::move(copy)});
  work_.notify_one();
  return what;
}

expected<ticket, error> memory_backend::fence(peer_id peer) {
  std::lock_guard lock{fabric_->mutex_};
  if (closed_)
    return fail(errc::closed, "fence");
  if (operations_ >= config_.transfers_max)
    return fail(errc::no_credit, std::to_string(operations_) + " operations are outstanding");
  ++operations_;
  job marker{ticket{++last_ticket_}, self_, std::nullopt};
  // The peer's thread works in order: when it meets the marker, everything posted earlier is over.
  if (auto writer = find_member(peer)) {
    writer->queue_.push_back(marker);
    writer->work_.notify_one();
  } else {
    finish(marker, errc::none, 0);
  }
  return marker.what;
}

void memory_backend::cancel(ticket what) {
  std::lock_guard lock{fabric_->mutex_};
  if (what.value == 0)
    return;
  if (copying_ == what) {
    stop_copying_ = true;
    return;
  }
  // A fence waits in the queue of the peer that it is about.
  for (auto& [peer, member] : fabric_->members_) {
    auto& queue = member->queue_;
    auto i = std::find_if(queue.begin(), queue.end(), [&](auto& j) { return j.what == what && j.asked_by == self_; });
    if (i == queue.end())
      continue;
    auto found = std::move(*i);
    queue.erase(i);
    finish(found, errc::cancelled, 0);
    return;
  }
}

polled memory_backend::poll(std::span<completion> ended, std::span<arrival> arrived) {
  std::lock_guard lock{fabric_->mutex_};
  polled count{std::min(ended.size(), completions_.size()), std::min(arrived.size(), arrivals_.size())};
  for (std::size_t i = 0; i < count.completions; ++i) {
    ended[i] = completions_.front();
    completions_.pop_front();
  }
  for (std::size_t i = 0; i < count.arrivals; ++i) {
    arrived[i] = arrivals_.front();
    arrivals_.pop_front();
  }
  operations_ -= static_cast<std::uint32_t>(count.completions);
  arrivals_reserved_ -= static_cast<std::uint32_t>(count.arrivals);
  if (signalled_ && completions_.empty() && arrivals_.empty()) {
    eventfd_t ignored = 0;
    ::eventfd_read(wake_fd_, &ignored);
    signalled_ = false;
  }
  return count;
}

void memory_backend::forget(peer_id peer) {
  std::lock_guard lock{fabric_->mutex_};
  std::erase_if(imports_, [&](auto& i) { return i.second.owner == peer; });
  std::erase_if(import_index_, [&](auto& i) { return i.first.owner == peer; });
  for (auto& [id, r] : regions_)
    r.readers.erase(peer);
  std::deque<job> kept;
  for (auto& j : std::exchange(queue_, {}))
    if (j.copy && j.copy->target.owner == peer)
      finish(j, errc::peer_gone, 0);
    else
      kept.push_back(std::move(j));
  queue_ = std::move(kept);
}

// -- the copier's thread ------------------------------------------------------------------------------

void memory_backend::copier_loop() {
  std::unique_lock lock{fabric_->mutex_};
  while (true) {
    work_.wait(lock, [this] { return closed_ || !queue_.empty(); });
    if (closed_)
      return finish_queued(errc::closed);
    auto next = std::move(queue_.front());
    queue_.pop_front();
    if (next.copy)
      carry_out(lock, next);
    else
      finish(next, errc::none, 0);
  }
}

void memory_backend::carry_out(std::unique_lock<std::mutex>& lock, const job& next) {
  auto& copy = *next.copy;
  // Time has passed since the write was posted: regions may be gone, the deadline over.
  if (auto total = check_transfer(copy); !total)
    return finish(next, total.error().code, 0);
  if (copy.deadline <= std::chrono::steady_clock::now())
    return finish(next, errc::timed_out, 0);
  auto source = find_region(copy.source);
  auto target = *find_target(copy.target);
  ++source->pins;
  ++target->pins;
  copying_ = next.what;
  stop_copying_ = false;
  lock.unlock();
  auto moved = copy_bytes(copy, source->view.data, target->view.data);
  lock.lock();
  copying_ = {};
  --source->pins;
  --target->pins;
  fabric_->unpinned_.notify_all();
  auto cut_short = closed_ ? errc::closed : errc::cancelled;
  finish(next, moved == copy.bytes ? errc::none : cut_short, moved);
}

std::uint64_t memory_backend::copy_bytes(const transfer& copy, const std::byte* source, std::byte* target) {
  run_walker from{copy.source_runs};
  run_walker to{copy.target_runs};
  std::uint64_t moved = 0;
  while (!from.done() && !stop_copying_.load(std::memory_order_relaxed)) {
    auto bytes = std::min({from.contiguous(), to.contiguous(), piece_bytes_max});
    // memmove, since source and target may be one region: an overlap garbles bytes, nothing else.
    std::memmove(target + to.offset(), source + from.offset(), bytes);
    from.advance(bytes);
    to.advance(bytes);
    moved += bytes;
  }
  bytes_moved_.fetch_add(moved, std::memory_order_relaxed);
  return moved;
}

// -- shared by both sides -----------------------------------------------------------------------------

memory_backend* memory_backend::find_member(peer_id peer) const {
  auto i = fabric_->members_.find(peer);
  return i == fabric_->members_.end() ? nullptr : i->second;
}

memory_backend::region* memory_backend::find_region(region_id id) {
  auto i = regions_.find(id);
  return i == regions_.end() || i->second.removed ? nullptr : &i->second;
}

expected<memory_backend::region*, error> memory_backend::find_target(const place& where) const {
  auto owner = find_member(where.owner);
  if (owner == nullptr || owner->closed_)
    return fail(errc::peer_gone, "peer " + std::to_string(where.owner.value));
  auto found = owner->find_region(where.region);
  if (found == nullptr)
    return fail(errc::unknown_region,
                "region " + std::to_string(where.region.value) + " of peer " + std::to_string(where.owner.value));
  if (auto i = found->readers.find(self_); i == found->readers.end() || i->second != where.permission)
    return fail(errc::revoked,
                "region " + std::to_string(where.region.value) + " of peer " + std::to_string(where.owner.value));
  return found;
}

expected<std::uint64_t, error> memory_backend::check_transfer(const transfer& copy) {
  auto source = find_region(copy.source);
  if (source == nullptr)
    return fail(errc::unknown_region, "source region " + std::to_string(copy.source.value));
  auto target = find_target(copy.target);
  if (!target)
    return unexpected{target.error()};
  auto source_bytes = check_runs(copy.source_runs, source->view.bytes, config_.runs_max);
  if (!source_bytes)
    return fail(source_bytes.error().code, "source: " + source_bytes.error().context);
  auto target_bytes = check_runs(copy.target_runs, (*target)->view.bytes, config_.runs_max);
  if (!target_bytes)
    return fail(target_bytes.error().code, "target: " + target_bytes.error().context);
  if (*source_bytes != *target_bytes || *source_bytes > config_.bytes_max)
    return fail(errc::invalid_argument, std::to_string(*source_bytes) + " source and " + std::to_string(*target_bytes)
                                          + " target bytes; they must be equal and at most "
                                          + std::to_string(config_.bytes_max));
  return *source_bytes;
}

void memory_backend::finish(const job& ended, errc result, std::uint64_t bytes) {
  if (ended.copy && ended.copy->note_bytes != 0) {
    auto& copy = *ended.copy;
    if (auto owner = find_member(copy.target.owner)) {
      if (result == errc::none && owner->find_region(copy.target.region) != nullptr) {
        owner->arrivals_.push_back({self_, copy.target.region, copy.note, copy.note_bytes});
        owner->signal();
      } else {
        --owner->arrivals_reserved_;
      }
    }
  }
  if (auto asker = find_member(ended.asked_by)) {
    asker->completions_.push_back({ended.what, result, bytes});
    asker->signal();
  }
}

void memory_backend::finish_queued(errc result) {
  // A fence that meets the end of its peer is satisfied: nothing of it lands any more.
  for (auto& j : std::exchange(queue_, {}))
    finish(j, j.copy ? result : errc::none, 0);
}

void memory_backend::drop_fences_elsewhere() {
  for (auto& [peer, member] : fabric_->members_) {
    auto mine = [this](auto& j) { return j.asked_by == self_; };
    for (auto& j : member->queue_)
      if (mine(j))
        finish(j, errc::closed, 0);
    std::erase_if(member->queue_, mine);
  }
}

void memory_backend::signal() {
  if (!std::exchange(signalled_, true))
    ::eventfd_write(wake_fd_, 1);
}

} // namespace troupe::transport
