// SPDX-License-Identifier: Apache-2.0
#include "transport/shared_memory/shared_memory_backend.hpp"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <system_error>

#include "transport/runs.hpp"

// The functions of the seam; the threads behind them are in the files beside this one.
namespace troupe::transport {

expected<std::unique_ptr<shared_memory_backend>, error> shared_memory_backend::make(peer_id self,
                                                                                    shared_memory_config config) {
  if (self.value == 0)
    return fail(errc::invalid_argument, "a peer needs an id");
  std::unique_ptr<shared_memory_backend> result{new shared_memory_backend(self, config)};
  if (auto started = result->start(); !started)
    return unexpected{started.error()};
  return result;
}

expected<void, error> shared_memory_backend::start() {
  wake_ = descriptor{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  poke_ = descriptor{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  epoll_ = descriptor{::epoll_create1(EPOLL_CLOEXEC)};
  if (!wake_ || !poke_ || !epoll_)
    return fail(errc::resource, std::string{"cannot make a descriptor: "} + std::strerror(errno));
  auto listener = listen_as(self_);
  if (!listener)
    return unexpected{listener.error()};
  listener_ = std::move(*listener);
  for (auto [d, id] : {std::pair{&poke_, poke_id}, std::pair{&listener_, listener_id}}) {
    epoll_event event{EPOLLIN, {.u64 = id}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, d->get(), &event) != 0)
      return fail(errc::resource, std::string{"cannot watch a descriptor: "} + std::strerror(errno));
  }
  try {
    copier_ = std::thread{[this] { copier_loop(); }};
    talker_ = std::thread{[this] { talker_loop(); }};
  } catch (const std::system_error& e) {
    return fail(errc::resource, std::string{"cannot start a thread: "} + e.what());
  }
  ::pthread_setname_np(copier_.native_handle(), "troupe-shm-copy");
  ::pthread_setname_np(talker_.native_handle(), "troupe-shm-talk");
  return {};
}

shared_memory_backend::~shared_memory_backend() { close(); }

void shared_memory_backend::close() {
  {
    std::lock_guard lock{mutex_};
    closed_ = true;
    stop_copying_ = true;
    work_.notify_all();
    if (poke_)
      poke();
  }
  if (copier_.joinable())
    copier_.join();
  if (talker_.joinable())
    talker_.join();
  std::lock_guard lock{mutex_};
  for (auto& [peer, out] : outgoing_)
    end_outgoing(*out, errc::closed);
  for (auto& [what, waits] : fences_)
    finish(what, errc::closed, 0);
  fences_.clear();
  outgoing_.clear();
  imports_.clear();
  import_index_.clear();
  incoming_.clear();
  regions_.clear();
  discarded_.clear();
  listener_ = descriptor{};
}

expected<region_id, error> shared_memory_backend::add_region(region_view view) {
  if (view.data == nullptr || view.bytes == 0)
    return fail(errc::invalid_argument, "a region needs memory");
  std::lock_guard lock{mutex_};
  if (closed_)
    return fail(errc::closed, "add_region");
  region_id id{++last_region_};
  regions_[id].view = std::move(view);
  return id;
}

void shared_memory_backend::remove_region(region_id id) {
  std::unique_lock lock{mutex_};
  auto i = regions_.find(id);
  if (i == regions_.end())
    return;
  i->second.removed = true;
  revoke(id, std::nullopt, errc::unknown_region);
  // Whoever of several callers wakes first erases it.
  unpinned_.wait(lock, [&] {
    i = regions_.find(id);
    return i == regions_.end() || i->second.pins == 0;
  });
  if (i != regions_.end())
    regions_.erase(i);
}

expected<std::string, error> shared_memory_backend::describe(region_id id, peer_id reader) {
  std::lock_guard lock{mutex_};
  auto found = find_region(id);
  if (found == nullptr)
    return fail(errc::unknown_region, "region " + std::to_string(id.value));
  auto& view = found->view;
  if (view.fd < 0)
    return fail(errc::invalid_argument, "region " + std::to_string(id.value) + " has no file for others to map");
  if (auto sound = check_shared_file(view.fd, view.fd_offset, view.bytes); !sound)
    return fail(errc::invalid_argument, sound.error().context);
  auto i = found->readers.find(reader);
  if (i == found->readers.end()) {
    auto token = random_token();
    if (!token)
      return unexpected{token.error()};
    i = found->readers.emplace(reader, *token).first;
  }
  return to_text(shared_description{self_, id, i->second});
}

expected<remote_region, error> shared_memory_backend::import(peer_id owner, std::string_view text) {
  auto parsed = shared_description_from_text(text);
  if (!parsed)
    return unexpected{parsed.error()};
  if (parsed->owner != owner)
    return fail(errc::unknown_region, "a description of another peer's region");
  std::lock_guard lock{mutex_};
  if (closed_)
    return fail(errc::closed, "import");
  place where{owner, parsed->region};
  if (auto i = outgoing_.find(owner); i != outgoing_.end() && i->second->at == stage::ended)
    return fail(errc::peer_gone, "peer " + std::to_string(owner.value));
  if (auto i = import_index_.find(where); i != import_index_.end()) {
    auto& known = imports_.at(i->second);
    if (known.token == parsed->token) {
      if (known.state == access::withdrawn)
        return fail(known.why, "region " + std::to_string(where.region.value));
      return i->second;
    }
    withdraw(i->second, errc::revoked); // described anew, after it was withdrawn
    imports_.erase(i->second);
    import_index_.erase(i);
  }
  if (imports_.size() >= config_.imports_max)
    return fail(errc::resource, "more than " + std::to_string(config_.imports_max) + " imported regions");
  remote_region id{++last_import_};
  imports_.emplace(id, imported_region{where, parsed->token});
  import_index_.emplace(where, id);
  return id;
}

expected<ticket, error> shared_memory_backend::write(region_id source, std::span<const run> source_runs,
                                                     remote_region target, std::span<const run> target_runs,
                                                     std::span<const std::byte> note, steady_time deadline) {
  if (note.size() > note_bytes_max)
    return fail(errc::invalid_argument, "a note of " + std::to_string(note.size()) + " bytes");
  transfer copy{.source = source,
                .target = target,
                .source_runs = {source_runs.begin(), source_runs.end()},
                .target_runs = {target_runs.begin(), target_runs.end()},
                .note_bytes = static_cast<std::uint8_t>(note.size()),
                .deadline = deadline,
                .posted = {}};
  std::copy(note.begin(), note.end(), copy.note.begin());
  std::lock_guard lock{mutex_};
  if (closed_)
    return fail(errc::closed, "write");
  auto bytes = check_transfer(copy);
  if (!bytes)
    return unexpected{bytes.error()};
  copy.bytes = *bytes;
  if (operations_ >= config_.transfers_max)
    return fail(errc::no_credit, std::to_string(operations_) + " operations are outstanding");
  ++operations_;
  copy.posted = std::chrono::steady_clock::now();
  auto& out = outgoing_to(imports_.at(target).where.owner);
  ticket what{++last_ticket_};
  out.queue.push_back({++last_order_, what, std::move(copy)});
  nudge(out);
  work_.notify_one();
  return what;
}

// What can be known now: the size of a region that is not yet mapped cannot.
expected<std::uint64_t, error> shared_memory_backend::check_transfer(const transfer& copy) {
  auto source = find_region(copy.source);
  if (source == nullptr)
    return fail(errc::unknown_region, "source region " + std::to_string(copy.source.value));
  auto i = imports_.find(copy.target);
  if (i == imports_.end())
    return fail(errc::unknown_region, "imported region " + std::to_string(copy.target.value));
  auto& target = i->second;
  if (target.state == access::withdrawn)
    return fail(target.why, "region " + std::to_string(target.where.region.value) + " of peer "
                              + std::to_string(target.where.owner.value));
  auto source_bytes = check_runs(copy.source_runs, source->view.bytes, config_.runs_max);
  if (!source_bytes)
    return fail(source_bytes.error().code, "source: " + source_bytes.error().context);
  auto room = target.mapping ? target.mapping->bytes() : std::numeric_limits<std::uint64_t>::max();
  auto target_bytes = check_runs(copy.target_runs, room, config_.runs_max);
  if (!target_bytes)
    return fail(target_bytes.error().code, "target: " + target_bytes.error().context);
  if (*source_bytes != *target_bytes || *source_bytes > config_.bytes_max)
    return fail(errc::invalid_argument, std::to_string(*source_bytes) + " source and " + std::to_string(*target_bytes)
                                          + " target bytes; they must be equal and at most "
                                          + std::to_string(config_.bytes_max));
  return *source_bytes;
}

expected<ticket, error> shared_memory_backend::fence(peer_id peer) {
  std::lock_guard lock{mutex_};
  if (closed_)
    return fail(errc::closed, "fence");
  if (operations_ >= config_.transfers_max)
    return fail(errc::no_credit, std::to_string(operations_) + " operations are outstanding");
  ++operations_;
  ticket what{++last_ticket_};
  if (peer == self_) { // our own copier works in order, so a marker in its queue will do
    if (auto i = outgoing_.find(peer); i != outgoing_.end() && i->second->at != stage::ended) {
      i->second->queue.push_back({++last_order_, what, std::nullopt});
      work_.notify_one();
    } else {
      finish(what, errc::none, 0);
    }
    return what;
  }
  // What it posted before and has not connected for: void when it connects.
  if (std::any_of(regions_.begin(), regions_.end(), [&](auto& r) { return r.second.readers.contains(peer); }))
    fenced_at_[peer] = std::chrono::steady_clock::now();
  fence_waits waits;
  for (auto& [id, in] : incoming_)
    if (in.peer == peer && !in.hung_up) {
      waits.emplace(id, ++in.fence_last);
      ask_fence(in);
    }
  if (waits.empty())
    finish(what, errc::none, 0);
  else
    fences_.emplace(what, std::move(waits));
  return what;
}

void shared_memory_backend::cancel(ticket what) {
  std::lock_guard lock{mutex_};
  if (what.value == 0)
    return;
  if (copying_ == what) {
    stop_copying_ = true;
    return;
  }
  if (fences_.erase(what) != 0)
    return finish(what, errc::cancelled, 0);
  for (auto& [peer, out] : outgoing_)
    if (std::erase_if(out->queue, [&](auto& j) { return j.what == what; }) != 0) {
      work_.notify_one(); // what was behind it may be ready
      nudge(*out);
      return finish(what, errc::cancelled, 0);
    }
}

polled shared_memory_backend::poll(std::span<completion> ended, std::span<arrival> arrived) {
  std::lock_guard lock{mutex_};
  polled count{std::min(ended.size(), completions_.size()), std::min(arrived.size(), arrivals_.size())};
  for (std::size_t i = 0; i < count.completions; ++i) {
    ended[i] = completions_.front();
    completions_.pop_front();
  }
  if (count.arrivals > 0 && arrivals_.size() >= config_.transfers_max)
    poke(); // connections may be paused
  for (std::size_t i = 0; i < count.arrivals; ++i) {
    arrived[i] = arrivals_.front();
    arrivals_.pop_front();
  }
  operations_ -= static_cast<std::uint32_t>(count.completions);
  if (signalled_ && completions_.empty() && arrivals_.empty()) {
    eventfd_t ignored = 0;
    ::eventfd_read(wake_.get(), &ignored);
    signalled_ = false;
  }
  return count;
}

void shared_memory_backend::forget(peer_id peer) {
  std::lock_guard lock{mutex_};
  if (auto i = outgoing_.find(peer); i != outgoing_.end()) {
    end_outgoing(*i->second, errc::peer_gone);
    outgoing_.erase(i);
  }
  std::erase_if(import_index_, [&](auto& i) { return i.first.owner == peer; });
  std::erase_if(imports_, [&](auto& i) {
    auto of_peer = i.second.where.owner == peer;
    if (of_peer)
      discard(std::move(i.second.mapping));
    return of_peer;
  });
  for (auto& [id, r] : regions_)
    if (r.readers.erase(peer) != 0)
      revoke(id, peer, errc::revoked);
  fenced_at_.erase(peer);
}

shared_memory_backend::region* shared_memory_backend::find_region(region_id id) {
  auto i = regions_.find(id);
  return i == regions_.end() || i->second.removed ? nullptr : &i->second;
}

void shared_memory_backend::finish(ticket what, errc result, std::uint64_t bytes) {
  if (what.value == 0)
    return;
  completions_.push_back({what, result, bytes});
  signal();
}

void shared_memory_backend::signal() {
  if (!std::exchange(signalled_, true))
    ::eventfd_write(wake_.get(), 1);
}

void shared_memory_backend::poke() const { ::eventfd_write(poke_.get(), 1); }

// Unmapping takes long, so the talker does it without the mutex.
void shared_memory_backend::discard(std::shared_ptr<const void> what) {
  if (what == nullptr)
    return;
  discarded_.push_back(std::move(what));
  poke();
}

} // namespace troupe::transport
