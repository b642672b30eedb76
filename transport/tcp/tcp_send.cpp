// SPDX-License-Identifier: Apache-2.0
// The side of a TCP back end that writes into peers' regions: connects, sends writes in order, and answers fences
// behind them.
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "transport/tcp/tcp_backend.hpp"

namespace troupe::transport {

namespace {

using state = tcp_outgoing::state;

constexpr std::size_t pieces_max = 64;
// Sent at a time, so that a pin is short and other connections have their turn.
constexpr std::uint64_t send_bytes_max = std::uint64_t{1} << 20;
constexpr int sends_max = 16;    // in a row
constexpr int receives_max = 64; // in a row

template <class Bytes>
std::vector<std::byte> to_vector(const Bytes& bytes) {
  return {bytes.begin(), bytes.end()};
}

// sendmsg takes what it does not change without const.
iovec to_iovec(const std::byte* data, std::size_t bytes) { return {const_cast<std::byte*>(data), bytes}; }

std::vector<std::byte> head_of(const tcp_write& w) {
  auto head = to_vector(encode(frame{.kind = frame_kind::write,
                                     .note_bytes = w.note_bytes,
                                     .runs = static_cast<std::uint32_t>(w.target_runs.size()),
                                     .number = w.what.value,
                                     .bytes = w.bytes,
                                     .region = w.target,
                                     .token = w.token}));
  append_runs(head, w.target_runs);
  head.insert(head.end(), w.note.begin(), w.note.begin() + w.note_bytes);
  return head;
}

} // namespace

void tcp_backend::connect(tcp_outgoing& link) {
  auto started = start_connecting(link.where, config_.silence_time_max);
  if (!started)
    return end(link, end_of::us, started.error().code);
  link.socket = std::move(*started);
  link.now = state::connecting;
  link.progress = std::chrono::steady_clock::now();
  link.ready_by = link.progress + config_.connect_time_max;
}

// -- sending --------------------------------------------------------------------------------------------

void tcp_backend::send(locked& lock, tcp_outgoing& link) {
  if (link.now == state::connecting) {
    if (connection_error(link.socket) != 0)
      return end(link, end_of::us, errc::peer_gone);
    auto seen = ended_there_.find(link.owner);
    hello greeting{.from = self_, .to = link.owner, .connection = seen == ended_there_.end() ? 0 : seen->second};
    link.sending.emplace().head = to_vector(encode(greeting));
    link.now = state::greeting;
    link.ready_by = std::chrono::steady_clock::now() + config_.hello_time_max;
  }
  std::array<iovec, pieces_max> pieces;
  for (int i = 0; i < sends_max && !link.ended && !closed_ && find_message(link); ++i) {
    auto& message = *link.sending;
    auto source = message.write && message.left != 0 ? find_region(message.write->source) : nullptr;
    if (message.left != 0 && source == nullptr)
      message.verdict = errc::unknown_region; // removed in the middle
    auto trailer = encode_trailer(message.verdict);
    msghdr what{};
    what.msg_iov = pieces.data();
    what.msg_iovlen = pieces_of(message, source, pieces, trailer);
    if (source != nullptr)
      ++source->pins;
    lock.unlock();
    auto bytes = ::sendmsg(link.socket.get(), &what, MSG_NOSIGNAL);
    auto code = errno;
    lock.lock();
    if (source != nullptr) {
      --source->pins;
      unpinned_.notify_all();
    }
    if (bytes < 0 && (code == EAGAIN || code == EINTR))
      return;
    if (bytes < 0)
      return end(link, code == EPIPE || code == ECONNRESET ? end_of::peer : end_of::us, errc::peer_gone);
    advance(link, static_cast<std::size_t>(bytes));
  }
}

// Whether there is something to send, which is then link.sending.
bool tcp_backend::find_message(tcp_outgoing& link) {
  while (!link.sending && link.now == state::open && !link.queue.empty()) {
    auto next = std::move(link.queue.front());
    link.queue.pop_front();
    if (link.sent.empty())
      link.progress = std::chrono::steady_clock::now(); // it was idle, not silent
    if (next.write) {
      begin_write(link, std::move(next.write));
    } else {
      --link.answers;
      link.sending.emplace().head = to_vector(encode(frame{.kind = frame_kind::fenced, .number = next.fence}));
    }
  }
  return link.sending.has_value();
}

// Time has passed since it was posted: the region may be gone, the deadline over.
void tcp_backend::begin_write(tcp_outgoing& link, std::unique_ptr<tcp_write> next) {
  if (find_region(next->source) == nullptr)
    return finish(next->what, errc::unknown_region, 0);
  if (next->deadline <= std::chrono::steady_clock::now())
    return finish(next->what, errc::timed_out, 0);
  auto& message = link.sending.emplace();
  message.head = head_of(*next);
  message.from.emplace(next->source_runs);
  message.left = next->bytes;
  message.write = std::move(next);
}

// What is left of the message: its head, its payload right from the source region (padding if that is gone), its
// trailer.
std::size_t tcp_backend::pieces_of(tcp_outgoing_message& message, region* source, std::span<iovec> pieces,
                                   const trailer_buffer& trailer) {
  std::size_t count = 0;
  if (message.head_sent < message.head.size())
    pieces[count++] = to_iovec(message.head.data() + message.head_sent, message.head.size() - message.head_sent);
  if (!message.write)
    return count;
  auto left = message.left;
  if (left != 0 && source == nullptr) {
    auto bytes = std::min<std::uint64_t>(left, zeros_.size());
    pieces[count++] = to_iovec(zeros_.data(), bytes);
    return count;
  }
  if (left != 0) {
    auto ahead = *message.from;
    auto room = send_bytes_max;
    while (left != 0 && room != 0 && count < pieces.size() - 1) {
      auto piece = std::min({ahead.contiguous(), left, room});
      pieces[count++] = to_iovec(source->view.data + ahead.offset(), piece);
      ahead.advance(piece);
      left -= piece;
      room -= piece;
    }
  }
  if (left == 0)
    pieces[count++] = to_iovec(trailer.data() + message.trailer_sent, trailer.size() - message.trailer_sent);
  return count;
}

void tcp_backend::advance(tcp_outgoing& link, std::size_t bytes) {
  auto& message = *link.sending;
  link.progress = std::chrono::steady_clock::now();
  auto of_head = std::min(bytes, message.head.size() - message.head_sent);
  message.head_sent += of_head;
  bytes -= of_head;
  auto of_payload = std::min<std::uint64_t>(bytes, message.left);
  for (auto rest = of_payload; rest != 0;) {
    auto piece = std::min(message.from->contiguous(), rest);
    message.from->advance(piece);
    rest -= piece;
  }
  message.left -= of_payload;
  message.trailer_sent += bytes - of_payload;
  bytes_moved_.fetch_add(of_payload, std::memory_order_relaxed);
  if (!message.write) {
    if (message.head_sent == message.head.size())
      link.sending.reset();
  } else if (message.trailer_sent == trailer_bytes) {
    auto number = message.write->what.value;
    link.sent.emplace(number, std::move(message.write));
    link.sending.reset();
  }
}

// -- receiving ------------------------------------------------------------------------------------------

void tcp_backend::receive(locked& lock, tcp_outgoing& link) {
  if (link.now == state::connecting) {
    if (connection_error(link.socket) != 0)
      end(link, end_of::us, errc::peer_gone);
    return;
  }
  for (int i = 0; i < receives_max && !link.ended && !closed_; ++i) {
    lock.unlock();
    auto bytes = ::recv(link.socket.get(), link.small.data() + link.have, link.small.size() - link.have, 0);
    auto code = errno;
    lock.lock();
    if (bytes < 0 && (code == EAGAIN || code == EINTR))
      return;
    if (bytes <= 0)
      return end(link, bytes == 0 || code == ECONNRESET ? end_of::peer : end_of::us, errc::peer_gone);
    if ((link.have += static_cast<std::size_t>(bytes)) < frame_bytes)
      continue;
    link.have = 0;
    link.progress = std::chrono::steady_clock::now();
    if (link.now == state::greeting)
      take_hello(link);
    else
      take_frame(link);
  }
}

void tcp_backend::take_hello(tcp_outgoing& link) {
  auto got = decode_hello(link.small);
  // An owner that answers has got all of ours.
  if (!got || got->from != link.owner || got->to != self_ || link.sending)
    return end(link, end_of::us, errc::peer_gone);
  link.number_there = got->connection;
  link.now = state::open;
  if (got->posted_before == backlog::discard)
    drop_queued_writes(link, errc::peer_gone);
}

void tcp_backend::take_frame(tcp_outgoing& link) {
  auto got = decode_frame(link.small);
  if (got && got->kind == frame_kind::written)
    return take_written(link, *got);
  if (!got || got->kind != frame_kind::fence || link.answers >= config_.transfers_max)
    return end(link, end_of::us, errc::peer_gone);
  ++link.answers;
  link.queue.push_back({nullptr, got->number});
}

void tcp_backend::take_written(tcp_outgoing& link, const frame& answer) {
  auto i = link.sent.find(answer.number);
  if (i == link.sent.end() || answer.bytes > i->second->bytes
      || (answer.result == errc::none) != (answer.bytes == i->second->bytes))
    return end(link, end_of::us, errc::peer_gone);
  link.sent.erase(i);
  finish(ticket{answer.number}, answer.result, answer.bytes);
}

// -- the end --------------------------------------------------------------------------------------------

void tcp_backend::drop_queued_writes(tcp_outgoing& link, errc why) {
  std::erase_if(link.queue, [&](auto& item) {
    if (!item.write)
      return false;
    finish(item.write->what, why, 0);
    return true;
  });
}

void tcp_backend::end(tcp_outgoing& link, end_of who, errc why) {
  link.ended = true;
  link.socket.close();
  links_.erase(link.owner);
  auto is_imported =
    std::any_of(imports_.begin(), imports_.end(), [&](auto& i) { return i.second.owner == link.owner; });
  if (is_imported && link.number_there != 0) {
    if (who == end_of::peer)
      ended_there_[link.owner] = link.number_there;
    else
      ended_there_.erase(link.owner);
  }
  for (auto& [number, w] : std::exchange(link.sent, {}))
    finish(w->what, why, 0);
  if (link.sending && link.sending->write)
    finish(link.sending->write->what, why, 0);
  link.sending.reset();
  drop_queued_writes(link, why);
}

} // namespace troupe::transport
