// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp/tcp_backend.hpp"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <system_error>

namespace troupe::transport {

namespace {

// Of the listener and the nudge; connections come after them.
constexpr std::uint64_t last_reserved_number = 1;

// What is discarded or padded at a time.
constexpr std::size_t padding_bytes = 64 * 1024;

} // namespace

expected<std::unique_ptr<tcp_backend>, error> tcp_backend::make(peer_id self, tcp_config config) {
  auto host = loopback_from_text(config.host);
  if (!host)
    return unexpected{host.error()};
  auto listening = listen_on({*host, config.port});
  if (!listening)
    return unexpected{listening.error()};
  auto& [listener, port] = *listening;
  std::unique_ptr<tcp_backend> result{
    new tcp_backend(self, std::move(config), std::move(listener), tcp_address{*host, port})};
  if (auto started = result->start(); !started)
    return unexpected{started.error()};
  return result;
}

tcp_backend::tcp_backend(peer_id self, tcp_config config, socket_handle listener, tcp_address where)
  : config_(std::move(config)), self_(self), where_(where), listener_(std::move(listener)),
    last_connection_(last_reserved_number), padding_(padding_bytes), zeros_(padding_bytes) {}

expected<void, error> tcp_backend::start() {
  epoll_ = socket_handle{::epoll_create1(EPOLL_CLOEXEC)};
  wake_fd_ = socket_handle{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  nudge_fd_ = socket_handle{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!epoll_ || !wake_fd_ || !nudge_fd_)
    return fail(errc::resource, std::string{"cannot make an epoll or eventfd: "} + std::strerror(errno));
  try {
    thread_ = std::thread{[this] { io_loop(); }};
  } catch (const std::system_error& e) {
    return fail(errc::resource, std::string{"cannot start the I/O thread: "} + e.what());
  }
  ::pthread_setname_np(thread_.native_handle(), "troupe-tcp");
  return {};
}

tcp_backend::~tcp_backend() { close(); }

void tcp_backend::close() {
  {
    std::lock_guard lock{mutex_};
    closed_ = true;
    nudge();
  }
  if (thread_.joinable())
    thread_.join();
  std::lock_guard lock{mutex_};
  regions_.clear(); // the thread has unpinned what it used
}

capabilities tcp_backend::caps() const { return {config_.bytes_max, config_.runs_max, config_.transfers_max}; }

// -- regions --------------------------------------------------------------------------------------------

expected<region_id, error> tcp_backend::add_region(region_view view) {
  if (view.data == nullptr || view.bytes == 0)
    return fail(errc::invalid_argument, "a region needs memory");
  std::lock_guard lock{mutex_};
  if (closed_)
    return fail(errc::closed, "add_region");
  region_id id{++last_region_};
  regions_[id].view = view;
  return id;
}

void tcp_backend::remove_region(region_id id) {
  locked lock{mutex_};
  auto i = regions_.find(id);
  if (i == regions_.end())
    return;
  i->second.removed = true;
  grants_.revoke(id);
  // Whoever of several callers wakes first erases it.
  unpinned_.wait(lock, [&] {
    i = regions_.find(id);
    return i == regions_.end() || i->second.pins == 0;
  });
  if (i != regions_.end())
    regions_.erase(i);
}

expected<std::string, error> tcp_backend::describe(region_id id, peer_id reader) {
  std::lock_guard lock{mutex_};
  if (find_region(id) == nullptr)
    return fail(errc::unknown_region, "region " + std::to_string(id.value));
  auto token = grants_.grant(id, reader);
  if (!token)
    return unexpected{token.error()};
  return to_text(tcp_description{self_, where_, id, *token});
}

expected<remote_region, error> tcp_backend::import(peer_id owner, std::string_view text) {
  auto parsed = tcp_description_from_text(text);
  if (!parsed)
    return unexpected{parsed.error()};
  if (parsed->owner != owner)
    return fail(errc::unknown_region, "a description of a region of another peer than " + std::to_string(owner.value));
  std::lock_guard lock{mutex_};
  place where{owner, parsed->region};
  if (auto i = import_index_.find(where); i != import_index_.end()) {
    if (imports_.at(i->second).token == parsed->token)
      return i->second;
    imports_.erase(i->second); // described anew, after it was withdrawn
    import_index_.erase(i);
  }
  if (imports_.size() >= config_.imports_max)
    return fail(errc::resource, "more than " + std::to_string(config_.imports_max) + " imported regions");
  remote_region id{++last_import_};
  imports_.emplace(id, *parsed);
  import_index_.emplace(where, id);
  return id;
}

tcp_backend::region* tcp_backend::find_region(region_id id) {
  auto i = regions_.find(id);
  return i == regions_.end() || i->second.removed ? nullptr : &i->second;
}

// -- operations -----------------------------------------------------------------------------------------

expected<ticket, error> tcp_backend::write(region_id source, std::span<const run> source_runs, remote_region target,
                                           std::span<const run> target_runs, std::span<const std::byte> note,
                                           steady_time deadline) {
  if (note.size() > note_bytes_max)
    return fail(errc::invalid_argument, "a note of " + std::to_string(note.size()) + " bytes");
  auto posted = std::make_unique<tcp_write>();
  posted->source = source;
  posted->source_runs = {source_runs.begin(), source_runs.end()};
  posted->target_runs = {target_runs.begin(), target_runs.end()};
  posted->note_bytes = static_cast<std::uint8_t>(note.size());
  posted->deadline = deadline;
  std::copy(note.begin(), note.end(), posted->note.begin());
  std::lock_guard lock{mutex_};
  if (closed_)
    return fail(errc::closed, "write");
  auto imported = imports_.find(target);
  if (imported == imports_.end())
    return fail(errc::unknown_region, "remote region " + std::to_string(target.value));
  posted->target = imported->second.region;
  posted->token = imported->second.token;
  if (auto checked = check_write(*posted); !checked)
    return unexpected{checked.error()};
  if (operations_ >= config_.transfers_max)
    return fail(errc::no_credit, std::to_string(operations_) + " operations are outstanding");
  ++operations_;
  ticket what{++last_ticket_};
  posted->what = what;
  find_or_add_link(imported->second).queue.push_back({std::move(posted)});
  nudge();
  return what;
}

expected<void, error> tcp_backend::check_write(tcp_write& posted) {
  auto source = find_region(posted.source);
  if (source == nullptr)
    return fail(errc::unknown_region, "source region " + std::to_string(posted.source.value));
  auto source_bytes = check_runs(posted.source_runs, source->view.bytes, config_.runs_max);
  if (!source_bytes)
    return fail(source_bytes.error().code, "source: " + source_bytes.error().context);
  // How large the target is only its owner knows.
  auto target_bytes = check_runs(posted.target_runs, std::numeric_limits<std::uint64_t>::max(), config_.runs_max);
  if (!target_bytes)
    return fail(target_bytes.error().code, "target: " + target_bytes.error().context);
  if (*source_bytes != *target_bytes || *source_bytes > std::min(config_.bytes_max, payload_bytes_max))
    return fail(errc::invalid_argument, std::to_string(*source_bytes) + " source and " + std::to_string(*target_bytes)
                                          + " target bytes; they must be equal and at most "
                                          + std::to_string(config_.bytes_max));
  posted.bytes = *source_bytes;
  return {};
}

tcp_outgoing& tcp_backend::find_or_add_link(const tcp_description& target) {
  if (auto i = links_.find(target.owner); i != links_.end()) {
    i->second->retiring = false;
    return *i->second;
  }
  auto added = std::make_unique<tcp_outgoing>();
  added->number = ++last_connection_;
  added->owner = target.owner;
  added->where = target.where;
  links_.emplace(target.owner, added.get());
  return *outgoing_.emplace(added->number, std::move(added)).first->second;
}

expected<ticket, error> tcp_backend::fence(peer_id peer) {
  std::lock_guard lock{mutex_};
  if (closed_)
    return fail(errc::closed, "fence");
  if (operations_ >= config_.transfers_max)
    return fail(errc::no_credit, std::to_string(operations_) + " operations are outstanding");
  ++operations_;
  ticket what{++last_ticket_};
  if (auto i = writers_.find(peer); i != writers_.end()) {
    post_fence(*i->second, {what, std::chrono::steady_clock::now() + config_.fence_time_max});
    nudge();
  } else {
    grants_.fenced_unseen(peer);
    finish(what, errc::none, 0);
  }
  return what;
}

void tcp_backend::cancel(ticket what) {
  std::lock_guard lock{mutex_};
  for (auto& [owner, link] : links_) {
    auto i = std::find_if(link->queue.begin(), link->queue.end(),
                          [&](auto& item) { return item.write && item.write->what == what; });
    if (i == link->queue.end())
      continue;
    link->queue.erase(i);
    return finish(what, errc::cancelled, 0);
  }
  for (auto& [peer, writer] : writers_)
    if (std::erase_if(writer->fences, [&](auto& f) { return f.what == what; }) != 0)
      return finish(what, errc::cancelled, 0);
}

polled tcp_backend::poll(std::span<completion> ended, std::span<arrival> arrived) {
  std::lock_guard lock{mutex_};
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
  if (count.arrivals != 0) {
    // Some connection may be held for want of an arrival.
    if (arrivals_reserved_ >= config_.transfers_max)
      nudge();
    arrivals_reserved_ -= static_cast<std::uint32_t>(count.arrivals);
  }
  if (signalled_ && completions_.empty() && arrivals_.empty()) {
    eventfd_t ignored = 0;
    ::eventfd_read(wake_fd_.get(), &ignored);
    signalled_ = false;
  }
  return count;
}

void tcp_backend::forget(peer_id peer) {
  std::lock_guard lock{mutex_};
  std::erase_if(imports_, [&](auto& i) { return i.second.owner == peer; });
  std::erase_if(import_index_, [&](auto& i) { return i.first.first == peer; });
  ended_there_.erase(peer);
  grants_.revoke(peer);
  if (auto i = links_.find(peer); i != links_.end()) {
    drop_queued_writes(*i->second, errc::peer_gone);
    i->second->retiring = true;
    nudge();
  }
}

void tcp_backend::finish(ticket what, errc result, std::uint64_t bytes) {
  completions_.push_back({what, result, bytes});
  signal();
}

void tcp_backend::signal() {
  if (!std::exchange(signalled_, true))
    ::eventfd_write(wake_fd_.get(), 1);
}

void tcp_backend::nudge() {
  if (!std::exchange(nudged_, true))
    ::eventfd_write(nudge_fd_.get(), 1);
}

} // namespace troupe::transport
