// SPDX-License-Identifier: Apache-2.0
// Connections to the owners of the regions that are written from here.
#include <sys/epoll.h>

#include <algorithm>

#include "transport/shared_memory/shared_memory_backend.hpp"

namespace troupe::transport {

shared_memory_backend::outgoing& shared_memory_backend::outgoing_to(peer_id owner) {
  auto& out = outgoing_[owner];
  if (out == nullptr)
    out = std::make_shared<outgoing>(outgoing{.owner = owner});
  return *out;
}

// Does what the oldest operation waits for.
void shared_memory_backend::advance(outgoing& out) {
  if (out.at == stage::ended || out.delivering || out.queue.empty() || !out.queue.front().copy)
    return;
  if (out.at == stage::idle)
    return greet(out);
  auto& target = imports_.at(out.queue.front().copy->target);
  if (out.at == stage::welcomed && !out.requested && target.state == access::unknown)
    request_region(out, target);
}

// Lets the talker advance, if there is something to do for it.
void shared_memory_backend::nudge(const outgoing& out) const {
  if (!out.queue.empty() && out.queue.front().copy
      && imports_.at(out.queue.front().copy->target).state == access::unknown)
    poke();
}

void shared_memory_backend::greet(outgoing& out) {
  auto socket = connect_to(out.owner);
  if (!socket) {
    if (socket.error().code == errc::peer_gone)
      end_outgoing(out, errc::peer_gone);
    return; // else again soon, see patience_ms
  }
  out.socket = std::make_shared<const descriptor>(std::move(*socket));
  out.id = ++last_connection_;
  epoll_event event{EPOLLIN, {.u64 = out.id}};
  packet hello{.kind = packet_kind::hello, .first = self_.value, .second = out.owner.value};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, out.socket->get(), &event) != 0
      || send_packet(*out.socket, hello) != sent::done)
    return end_outgoing(out, errc::peer_gone);
  out.watched = EPOLLIN;
  out.at = stage::greeted;
}

void shared_memory_backend::request_region(outgoing& out, imported_region& target) {
  packet request{.kind = packet_kind::request, .region = target.where.region.value};
  std::copy(target.token.begin(), target.token.end(), request.note.begin());
  auto how = send_packet(*out.socket, request);
  if (how == sent::gone)
    return end_outgoing(out, errc::peer_gone);
  out.request_waits = how == sent::full;
  if (how == sent::done) {
    target.state = access::requested;
    out.requested = target.where.region;
  }
  update_interest(out);
}

void shared_memory_backend::handle_event(outgoing& out, std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    out.request_waits = false; // advance() tries again
    update_interest(out);
    if (out.delivering)
      deliver(out);
  }
  // Owners send little: what is left makes another event.
  for (int i = 0; i < 64 && out.at != stage::ended; ++i) {
    auto next = receive_packet(*out.socket);
    if (next.how == received::outcome::nothing)
      return;
    if (next.how != received::outcome::packet || !take(out, next))
      return end_outgoing(out, errc::peer_gone);
  }
}

// False if the owner breaks the rules.
bool shared_memory_backend::take(outgoing& out, const received& next) {
  auto& what = next.what;
  switch (what.kind) {
    case packet_kind::welcome:
      if (out.at != stage::greeted)
        return false;
      out.at = stage::welcomed;
      out.void_before = steady_time{std::chrono::nanoseconds{static_cast<std::int64_t>(what.first)}};
      work_.notify_one();
      return true;
    case packet_kind::granted:
    case packet_kind::refused: return take_answer(out, next);
    case packet_kind::fence:
      if (out.fence_answer_due)
        return false;
      out.fence_answer_due = true;
      out.queue.push_back({++last_order_, ticket{}, std::nullopt, what.first});
      work_.notify_one();
      return true;
    case packet_kind::revoke: {
      auto i = import_index_.find({out.owner, region_id{what.region}});
      // Of an earlier description, if it was imported anew meanwhile.
      if (i != import_index_.end() && imports_.at(i->second).state == access::mapped)
        withdraw(i->second, what.result);
      return true;
    }
    default: return false;
  }
}

bool shared_memory_backend::take_answer(outgoing& out, const received& next) {
  region_id region{next.what.region};
  if (out.requested != region)
    return false;
  out.requested.reset();
  auto i = import_index_.find({out.owner, region});
  if (i == import_index_.end() || imports_.at(i->second).state != access::requested)
    return true; // imported anew meanwhile
  auto& target = imports_.at(i->second);
  if (next.what.kind == packet_kind::refused) {
    withdraw(i->second, next.what.result);
  } else if (auto mapping = mapped_region::make(next.file, next.what.first, next.what.second, out.socket); mapping) {
    target.mapping = std::move(*mapping);
    target.state = access::mapped;
  } else {
    withdraw(i->second, mapping.error().code);
  }
  work_.notify_one();
  return true;
}

// Writes that have not begun end; one that runs may finish.
void shared_memory_backend::withdraw(remote_region id, errc why) {
  auto& target = imports_.at(id);
  target.state = access::withdrawn;
  target.why = why == errc::none ? errc::revoked : why;
  discard(std::move(target.mapping));
  auto i = outgoing_.find(target.where.owner);
  if (i == outgoing_.end())
    return;
  std::erase_if(i->second->queue, [&](auto& j) {
    if (!j.copy || j.copy->target != id)
      return false;
    finish(j.what, target.why, 0);
    return true;
  });
  work_.notify_one();
  nudge(*i->second);
}

void shared_memory_backend::end_outgoing(outgoing& out, errc why) {
  if (out.at == stage::ended)
    return;
  out.at = stage::ended;
  if (out.socket != nullptr)
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, out.socket->get(), nullptr);
  if (copying_to_ == &out)
    stop_copying_ = true;
  if (out.delivering)
    finish(out.delivering->what, why, out.delivering->copy ? out.delivering->copy->bytes : 0);
  out.delivering.reset();
  for (auto& j : std::exchange(out.queue, {}))
    finish(j.what, why, 0);
  for (auto& [id, target] : imports_)
    if (target.where.owner == out.owner) {
      target.state = access::withdrawn;
      target.why = why;
      discard(std::move(target.mapping));
    }
  discard(std::move(out.socket)); // closed once the last mapping is gone
}

void shared_memory_backend::update_interest(outgoing& out) {
  std::uint32_t events = EPOLLIN | (out.delivering || out.request_waits ? std::uint32_t{EPOLLOUT} : 0);
  if (out.at == stage::ended || out.watched == events)
    return;
  out.watched = events;
  epoll_event event{events, {.u64 = out.id}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, out.socket->get(), &event);
}

} // namespace troupe::transport
