// SPDX-License-Identifier: Apache-2.0
// The thread of a TCP back end: waits, accepts, watches the clock, and closes what is over.
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>

#include "transport/tcp/tcp_backend.hpp"

namespace troupe::transport {

namespace {

// What epoll calls the two descriptors that are not connections.
constexpr std::uint64_t listener_number = 0;
constexpr std::uint64_t nudge_number = 1;

constexpr int events_max = 64;
constexpr int accepts_max = 64; // in a row

// How late a time limit may be noticed.
constexpr std::chrono::milliseconds tick{20};
// How long no connection is accepted after the process had no descriptor for one.
constexpr std::chrono::milliseconds accept_pause{200};

bool is_under_way(const tcp_outgoing& link) { return link.sending || !link.sent.empty(); }

bool is_in_mid_frame(const tcp_incoming& c) { return c.at != tcp_incoming::step::header || c.have != 0; }

// Whether a time limit runs.
bool is_timed(const tcp_incoming& c) { return !c.fences.empty() || is_in_mid_frame(c); }
bool is_timed(const tcp_outgoing& link) {
  return link.now != tcp_outgoing::state::open || !link.queue.empty() || is_under_way(link);
}

} // namespace

void tcp_backend::io_loop() {
  std::uint32_t nudged = 0;
  locked lock{mutex_};
  watch(nudge_fd_.get(), nudge_number, nudged, EPOLLIN);
  watch(listener_.get(), listener_number, listening_, EPOLLIN);
  std::array<epoll_event, events_max> events;
  while (!closed_) {
    auto patience = wait_ms();
    lock.unlock();
    auto count = ::epoll_wait(epoll_.get(), events.data(), events_max, patience);
    lock.lock();
    for (int i = 0; i < count; ++i)
      dispatch(lock, events[static_cast<std::size_t>(i)].data.u64, events[static_cast<std::size_t>(i)].events);
    if (auto now = std::chrono::steady_clock::now(); now >= next_expiry_) {
      expire(now);
      next_expiry_ = now + tick;
    }
    serve();
    sweep();
  }
  end_everything();
}

// For ever only while no time limit runs.
int tcp_backend::wait_ms() const {
  auto timed = listening_ == 0
               || std::any_of(incoming_.begin(), incoming_.end(), [](auto& i) { return is_timed(*i.second); })
               || std::any_of(outgoing_.begin(), outgoing_.end(), [](auto& o) { return is_timed(*o.second); });
  return timed ? static_cast<int>(tick.count()) : -1;
}

void tcp_backend::dispatch(locked& lock, std::uint64_t number, std::uint32_t events) {
  if (number == nudge_number) {
    eventfd_t ignored = 0;
    ::eventfd_read(nudge_fd_.get(), &ignored);
    nudged_ = false;
  } else if (number == listener_number) {
    accept_all();
  } else if (auto i = incoming_.find(number); i != incoming_.end()) {
    auto& connection = *i->second;
    if (!connection.ended && (events & EPOLLOUT) != 0)
      send_answers(lock, connection);
    if (!connection.ended && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0)
      receive(lock, connection);
  } else if (auto j = outgoing_.find(number); j != outgoing_.end()) {
    auto& connection = *j->second;
    if (!connection.ended && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0)
      receive(lock, connection);
    if (!connection.ended && (events & EPOLLOUT) != 0)
      send(lock, connection);
  }
}

void tcp_backend::accept_all() {
  for (int i = 0; i < accepts_max; ++i) {
    auto accepted = accept_from(listener_, config_.silence_time_max);
    if (!accepted) {
      accept_again_ = std::chrono::steady_clock::now() + accept_pause;
      return watch(listener_.get(), listener_number, listening_, 0);
    }
    if (!*accepted)
      return;
    if (incoming_.size() >= config_.connections_max)
      continue; // its handle closes it
    auto added = std::make_unique<tcp_incoming>();
    added->number = ++last_connection_;
    added->socket = std::move(*accepted);
    added->progress = std::chrono::steady_clock::now();
    added->hello_by = added->progress + config_.hello_time_max;
    incoming_.emplace(added->number, std::move(added));
  }
}

// Acts on what other threads have asked for, and tells epoll what each connection waits for.
void tcp_backend::serve() {
  for (auto& [number, connection] : incoming_) {
    if (connection->ended)
      continue;
    if (connection->held)
      begin_payload(*connection);
    auto events = (wants_input(*connection) ? EPOLLIN : 0u) | (connection->out.empty() ? 0u : EPOLLOUT);
    watch(connection->socket.get(), number, connection->events, events);
  }
  for (auto& [number, connection] : outgoing_) {
    if (connection->ended)
      continue;
    if (connection->now == tcp_outgoing::state::fresh)
      connect(*connection);
    if (connection->retiring && connection->queue.empty() && !is_under_way(*connection))
      end(*connection, end_of::us, errc::peer_gone);
    if (connection->ended)
      continue;
    auto sends = connection->now == tcp_outgoing::state::connecting || connection->sending
                 || (connection->now == tcp_outgoing::state::open && !connection->queue.empty());
    watch(connection->socket.get(), number, connection->events, EPOLLIN | (sends ? EPOLLOUT : 0u));
  }
}

// -- the clock ------------------------------------------------------------------------------------------

void tcp_backend::expire(steady_time now) {
  if (listening_ == 0 && now >= accept_again_)
    watch(listener_.get(), listener_number, listening_, EPOLLIN);
  for (auto& [number, connection] : incoming_)
    if (!connection->ended)
      expire_incoming(*connection, now);
  for (auto& [number, connection] : outgoing_)
    if (!connection->ended)
      expire_outgoing(*connection, now);
}

void tcp_backend::expire_incoming(tcp_incoming& connection, steady_time now) {
  if (connection.at == tcp_incoming::step::hello) {
    if (now >= connection.hello_by)
      refuse(connection, "it did not say who it is");
    return;
  }
  auto late = [now](auto& f) { return f.answered_by <= now; };
  if (std::any_of(connection.fences.begin(), connection.fences.end(), late)) {
    // Closed first: from here on nothing of it lands.
    close_connection(connection);
    grants_.fenced_by_closing(connection.from, connection.number);
    for (auto& f : std::exchange(connection.fences, {}))
      finish(f.what, errc::none, 0);
    return;
  }
  if (is_in_mid_frame(connection) && !connection.held && now - connection.progress >= config_.silence_time_max)
    end(connection);
}

void tcp_backend::expire_outgoing(tcp_outgoing& connection, steady_time now) {
  std::erase_if(connection.queue, [&](auto& item) {
    if (!item.write || item.write->deadline > now)
      return false;
    finish(item.write->what, errc::timed_out, 0);
    return true;
  });
  if (connection.now != tcp_outgoing::state::open) {
    if (connection.now != tcp_outgoing::state::fresh && now >= connection.ready_by)
      end(connection, end_of::us, errc::peer_gone);
  } else if (is_under_way(connection) && now - connection.progress >= config_.silence_time_max) {
    end(connection, end_of::us, errc::peer_gone);
  }
}

// -- the end --------------------------------------------------------------------------------------------

void tcp_backend::watch(int fd, std::uint64_t number, std::uint32_t& watched, std::uint32_t events) {
  if (watched == events)
    return;
  epoll_event what{};
  what.events = events;
  what.data.u64 = number;
  // Not watched at all while nothing is waited for: a hang-up would be reported again and again.
  auto operation = watched == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  ::epoll_ctl(epoll_.get(), operation, fd, &what);
  watched = events;
}

void tcp_backend::sweep() {
  std::erase_if(incoming_, [](auto& i) { return i.second->ended; });
  std::erase_if(outgoing_, [](auto& i) { return i.second->ended; });
}

void tcp_backend::end_everything() {
  for (auto& [number, connection] : incoming_) {
    if (connection->ended)
      continue;
    close_connection(*connection);
    for (auto& f : std::exchange(connection->fences, {}))
      finish(f.what, errc::closed, 0);
  }
  for (auto& [number, connection] : outgoing_)
    if (!connection->ended)
      end(*connection, end_of::us, errc::closed);
  sweep();
}

} // namespace troupe::transport
