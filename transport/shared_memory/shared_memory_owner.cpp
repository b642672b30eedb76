// SPDX-License-Identifier: Apache-2.0
// The thread that talks, and connections of those who write into regions of ours.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

#include "transport/shared_memory/shared_memory_backend.hpp"

namespace troupe::transport {

namespace {

constexpr std::chrono::seconds hello_patience{5};
// Between two looks at those who have not said hello, and before connections are accepted again.
constexpr int sweep_ms = 100;
// Before another try to connect to a crowded owner.
constexpr int connect_again_ms = 20;
// Packets of one connection between two looks at the others.
constexpr int packets_max = 64;
constexpr std::uint64_t every_fence = std::numeric_limits<std::uint64_t>::max();

} // namespace

void shared_memory_backend::talker_loop() {
  std::array<epoll_event, 64> events{};
  std::unique_lock lock{mutex_};
  while (!closed_) {
    auto patience = patience_ms();
    auto discarded = std::exchange(discarded_, {});
    lock.unlock();
    discarded.clear();
    auto count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), patience);
    lock.lock();
    for (int i = 0; i < count && !closed_; ++i)
      handle_event(events[static_cast<std::size_t>(i)].data.u64, events[static_cast<std::size_t>(i)].events);
    for (auto& [owner, out] : outgoing_)
      advance(*out);
    resume_paused();
    end_silent();
  }
}

int shared_memory_backend::patience_ms() const {
  if (std::any_of(outgoing_.begin(), outgoing_.end(),
                  [](auto& o) { return o.second->at == stage::idle && !o.second->queue.empty(); }))
    return connect_again_ms;
  auto silent = [](auto& i) { return i.second.peer.value == 0; };
  return !listening_ || std::any_of(incoming_.begin(), incoming_.end(), silent) ? sweep_ms : -1;
}

void shared_memory_backend::handle_event(connection_id id, std::uint32_t events) {
  if (id == poke_id) {
    eventfd_t ignored = 0;
    ::eventfd_read(poke_.get(), &ignored);
    return;
  }
  if (id == listener_id)
    return accept_writers();
  for (auto& [owner, out] : outgoing_)
    if (out->id == id && out->at != stage::ended)
      return handle_event(*out, events);
  auto i = incoming_.find(id);
  if (i == incoming_.end())
    return; // ended a moment ago
  auto& in = i->second;
  if ((events & EPOLLOUT) != 0)
    flush(in);
  if (!in.paused) {
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
      read_packets(in);
  } else if ((events & EPOLLHUP) != 0) {
    // Its writer is done, though not all it said is read.
    in.hung_up = true;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, in.socket.get(), nullptr);
    settle_fences(id, every_fence);
  }
}

void shared_memory_backend::accept_writers() {
  for (int i = 0; i < packets_max; ++i) {
    descriptor socket{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (!socket) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        listen_for(0); // no use to be told all the time; end_silent listens again
      return;
    }
    auto is_ours = is_of_same_user(socket);
    if (!is_ours)
      report(socket, "it is of another user");
    if (!is_ours || incoming_.size() >= config_.connections_max)
      continue;
    auto id = ++last_connection_;
    epoll_event event{EPOLLIN, {.u64 = id}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &event) != 0)
      continue;
    incoming_.emplace(id, incoming{.id = id,
                                   .socket = std::move(socket),
                                   .watched = EPOLLIN,
                                   .hello_by = std::chrono::steady_clock::now() + hello_patience});
  }
}

void shared_memory_backend::listen_for(std::uint32_t events) {
  listening_ = events != 0;
  epoll_event event{events, {.u64 = listener_id}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listener_.get(), &event);
}

void shared_memory_backend::resume_paused() {
  if (arrivals_.size() >= config_.transfers_max)
    return;
  for (auto& [id, in] : incoming_) {
    if (!std::exchange(in.paused, false))
      continue;
    if (in.hung_up) {
      epoll_event event{in.watched, {.u64 = id}};
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, in.socket.get(), &event);
    }
    update_interest(in);
  }
}

void shared_memory_backend::end_silent() {
  auto now = std::chrono::steady_clock::now();
  std::erase_if(incoming_, [&](auto& i) {
    auto& [id, in] = i;
    if (in.peer.value != 0 || in.paused || in.hello_by >= now)
      return false;
    report(in.socket, "it did not say who it is");
    return true;
  });
  if (!listening_)
    listen_for(EPOLLIN);
}

void shared_memory_backend::read_packets(incoming& in) {
  for (int i = 0; i < packets_max; ++i) {
    if (arrivals_.size() >= config_.transfers_max) {
      in.paused = true;
      return update_interest(in);
    }
    auto next = receive_packet(in.socket);
    if (next.how == received::outcome::nothing)
      return;
    if (next.how == received::outcome::ended) {
      if (in.peer.value == 0)
        report(in.socket, "it went away without a hello");
      return end_incoming(in.id);
    }
    if (in.condemned)
      continue;
    if (next.how == received::outcome::malformed || !take(in, next.what)) {
      if (in.peer.value == 0)
        report(in.socket, "it is not a peer");
      return condemn(in);
    }
  }
}

void shared_memory_backend::report(const descriptor& stranger, std::string_view why) const {
  if (config_.on_stranger)
    config_.on_stranger(stranger.get(), why);
}

// False if the writer breaks the rules.
bool shared_memory_backend::take(incoming& in, const packet& what) {
  if (in.peer.value == 0)
    return take_hello(in, what);
  switch (what.kind) {
    case packet_kind::request: return take_request(in, what);
    case packet_kind::arrived:
      if (what.note_bytes == 0)
        return false;
      if (in.granted.contains(region_id{what.region})) { // else withdrawn meanwhile
        arrivals_.push_back({in.peer, region_id{what.region}, what.note, what.note_bytes});
        signal();
      }
      return true;
    case packet_kind::fenced:
      if (what.first == 0 || what.first != in.fence_pending)
        return false;
      in.fence_pending = 0;
      settle_fences(in.id, what.first);
      if (in.fence_last > what.first) // asked for while the answer was under way
        ask_fence(in);
      return true;
    default: return false;
  }
}

bool shared_memory_backend::take_hello(incoming& in, const packet& what) {
  if (what.kind != packet_kind::hello || what.first == 0 || what.second != self_.value)
    return false;
  in.peer = peer_id{what.first};
  auto i = fenced_at_.find(in.peer);
  auto fenced = i == fenced_at_.end() ? steady_time{} : i->second;
  auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(fenced.time_since_epoch()).count();
  send(in, {.kind = packet_kind::welcome, .first = static_cast<std::uint64_t>(ns)});
  return true;
}

bool shared_memory_backend::take_request(incoming& in, const packet& what) {
  if (std::exchange(in.answer_due, true))
    return false;
  region_id id{what.region};
  packet answer{.kind = packet_kind::refused, .region = what.region, .result = errc::unknown_region};
  if (auto found = find_region(id); found != nullptr) {
    auto i = found->readers.find(in.peer);
    answer.result = errc::revoked;
    if (i != found->readers.end() && std::equal(i->second.begin(), i->second.end(), what.note.begin())) {
      answer.kind = packet_kind::granted;
      answer.result = errc::none;
      answer.first = found->view.fd_offset;
      answer.second = found->view.bytes;
      in.granted.insert(id);
      in.ever_granted = true;
    }
  }
  send(in, answer);
  return true;
}

// Breaks with a writer that breaks the rules. If it maps a region the connection stays, so that a fence still waits for
// it: it is told the end, and when it has unmapped it ends the connection.
void shared_memory_backend::condemn(incoming& in) {
  if (!in.ever_granted)
    return end_incoming(in.id);
  in.condemned = true;
  in.granted.clear();
  in.outbox.clear();
  ::shutdown(in.socket.get(), SHUT_WR);
  update_interest(in);
}

void shared_memory_backend::send(incoming& in, const packet& what) {
  if (in.condemned)
    return;
  in.outbox.push_back(what);
  flush(in);
}

void shared_memory_backend::flush(incoming& in) {
  while (!in.outbox.empty()) {
    auto& next = in.outbox.front();
    auto of = next.kind == packet_kind::granted ? find_region(region_id{next.region}) : nullptr;
    if (next.kind == packet_kind::granted && of == nullptr) // removed meanwhile
      next = {.kind = packet_kind::refused, .region = next.region, .result = errc::unknown_region};
    auto how = send_packet(in.socket, next, of == nullptr ? -1 : of->view.fd);
    if (how == sent::full)
      break;
    if (next.kind == packet_kind::granted || next.kind == packet_kind::refused)
      in.answer_due = false;
    in.outbox.pop_front(); // if it is gone, its end is yet to be read
  }
  update_interest(in);
}

void shared_memory_backend::revoke(region_id id, std::optional<peer_id> reader, errc why) {
  for (auto& [connection, in] : incoming_)
    if ((!reader || in.peer == *reader) && in.granted.erase(id) != 0)
      send(in, {.kind = packet_kind::revoke, .region = id.value, .result = why});
}

void shared_memory_backend::ask_fence(incoming& in) {
  if (in.fence_pending != 0)
    return;
  in.fence_pending = in.fence_last;
  send(in, {.kind = packet_kind::fence, .first = in.fence_pending});
}

void shared_memory_backend::settle_fences(connection_id id, std::uint64_t answered) {
  for (auto i = fences_.begin(); i != fences_.end();) {
    auto& [what, waits] = *i;
    if (auto w = waits.find(id); w != waits.end() && w->second <= answered)
      waits.erase(w);
    if (!waits.empty()) {
      ++i;
      continue;
    }
    finish(what, errc::none, 0);
    i = fences_.erase(i);
  }
}

void shared_memory_backend::end_incoming(connection_id id) {
  settle_fences(id, every_fence);
  incoming_.erase(id);
}

void shared_memory_backend::update_interest(incoming& in) {
  auto events = (in.paused ? 0 : std::uint32_t{EPOLLIN}) | (in.outbox.empty() ? 0 : std::uint32_t{EPOLLOUT});
  if (in.watched == events)
    return;
  in.watched = events;
  epoll_event event{events, {.u64 = in.id}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, in.socket.get(), &event);
}

} // namespace troupe::transport
