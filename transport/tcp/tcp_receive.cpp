// SPDX-License-Identifier: Apache-2.0
// The side of a TCP back end that owns regions: takes writes from peers' connections and asks peers for fences.
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <limits>

#include "transport/tcp/tcp_backend.hpp"

namespace troupe::transport {

namespace {

using step = tcp_incoming::step;

constexpr std::size_t pieces_max = 64;
// Taken at a time, so that a pin is short and other connections have their turn.
constexpr std::uint64_t receive_bytes_max = std::uint64_t{1} << 20;
constexpr int receives_max = 16; // in a row

// A writer that does not take its answers is not read any further.
constexpr std::size_t unsent_bytes_max = 64 * 1024;

iovec to_iovec(std::span<std::byte> bytes) { return {bytes.data(), bytes.size()}; }

bool is_payload(const tcp_incoming& from) { return from.at == step::payload; }

} // namespace

bool tcp_backend::wants_input(const tcp_incoming& from) const {
  return !from.held && from.out.size() - from.sent < unsent_bytes_max;
}

void tcp_backend::receive(locked& lock, tcp_incoming& from) {
  std::array<iovec, pieces_max> pieces;
  for (int i = 0; i < receives_max && !from.ended && !closed_ && wants_input(from); ++i) {
    auto count = room_for(from, pieces);
    auto pinned = is_payload(from) ? find_region(from.write.region) : nullptr;
    if (pinned != nullptr)
      ++pinned->pins;
    lock.unlock();
    auto bytes = ::readv(from.socket.get(), pieces.data(), static_cast<int>(count));
    auto code = errno;
    lock.lock();
    if (pinned != nullptr) {
      --pinned->pins;
      unpinned_.notify_all();
    }
    if (bytes < 0 && (code == EAGAIN || code == EINTR))
      return;
    if (bytes <= 0)
      return from.at == step::hello ? refuse(from, "it went away without a hello") : end(from);
    from.progress = std::chrono::steady_clock::now();
    received(from, static_cast<std::size_t>(bytes));
  }
}

// Where the next bytes go: at most what the current step still needs, payload right into its region.
std::size_t tcp_backend::room_for(tcp_incoming& from, std::span<iovec> pieces) {
  auto rest = [&](std::span<std::byte> of) {
    pieces[0] = to_iovec(of.subspan(from.have));
    return std::size_t{1};
  };
  auto target = is_payload(from) ? find_region(from.write.region) : nullptr;
  if (is_payload(from) && target == nullptr)
    refuse_write(from, errc::unknown_region, from.left); // removed in the middle
  switch (from.at) {
    case step::hello:
    case step::header: return rest(from.small);
    case step::trailer: return rest(std::span{from.small}.first(trailer_bytes));
    case step::details: return rest(from.details);
    case step::discard:
      pieces[0] = to_iovec(std::span{padding_}.first(std::min<std::uint64_t>(from.left, padding_.size())));
      return 1;
    case step::payload: break;
  }
  auto ahead = *from.to;
  auto bytes = std::min(from.left, receive_bytes_max);
  std::size_t count = 0;
  while (bytes != 0 && count < pieces.size()) {
    auto piece = std::min(ahead.contiguous(), bytes);
    pieces[count++] = {target->view.data + ahead.offset(), piece};
    ahead.advance(piece);
    bytes -= piece;
  }
  return count;
}

void tcp_backend::received(tcp_incoming& from, std::size_t bytes) {
  switch (from.at) {
    case step::hello:
      if ((from.have += bytes) == frame_bytes)
        take_hello(from);
      return;
    case step::header:
      if ((from.have += bytes) == frame_bytes)
        take_header(from);
      return;
    case step::details:
      if ((from.have += bytes) == from.details.size())
        take_details(from);
      return;
    case step::trailer:
      if ((from.have += bytes) == trailer_bytes)
        take_trailer(from);
      return;
    case step::payload:
      // Piece by piece, as it was given to the kernel.
      for (auto rest = static_cast<std::uint64_t>(bytes); rest != 0;) {
        auto piece = std::min(from.to->contiguous(), rest);
        from.to->advance(piece);
        rest -= piece;
      }
      [[fallthrough]];
    case step::discard:
      if ((from.left -= bytes) == 0)
        expect(from, step::trailer);
      return;
  }
}

void tcp_backend::expect(tcp_incoming& from, step next) {
  from.at = next;
  from.have = 0;
}

// -- frames ---------------------------------------------------------------------------------------------

void tcp_backend::take_hello(tcp_incoming& from) {
  auto got = decode_hello(from.small);
  if (!got || got->to != self_)
    return refuse(from, got ? "it looks for another peer" : "it is not a peer");
  from.from = got->from;
  hello answer{.from = self_,
               .to = got->from,
               .connection = from.number,
               .posted_before = grants_.reconnected(got->from, got->connection)};
  auto bytes = encode(answer);
  from.out.insert(from.out.end(), bytes.begin(), bytes.end());
  expect(from, step::header);
  auto [i, is_first] = writers_.emplace(from.from, &from);
  if (is_first)
    return;
  // The peer has given its earlier connection up. Fences wait for the answer on this one.
  auto fences = std::exchange(i->second->fences, {});
  close_connection(*i->second);
  writers_.emplace(from.from, &from);
  for (auto& f : fences)
    post_fence(from, f);
}

void tcp_backend::take_header(tcp_incoming& from) {
  auto got = decode_frame(from.small);
  if (!got || (got->kind != frame_kind::write && got->kind != frame_kind::fenced))
    return end(from);
  if (got->kind == frame_kind::fenced) {
    expect(from, step::header);
    return fenced(from, got->number);
  }
  from.write = *got;
  from.verdict = errc::none;
  auto details = std::uint64_t{got->runs} * run_bytes + got->note_bytes;
  if (find_region(got->region) == nullptr)
    return refuse_write(from, errc::unknown_region, details + got->bytes);
  if (!grants_.is_granted(got->region, from.from, got->token))
    return refuse_write(from, errc::revoked, details + got->bytes);
  if (got->runs > config_.runs_max || got->bytes > config_.bytes_max)
    return refuse_write(from, errc::invalid_argument, details + got->bytes);
  from.details.resize(details);
  expect(from, step::details);
}

void tcp_backend::take_details(tcp_incoming& from) {
  auto runs = std::span{from.details}.first(from.write.runs * run_bytes);
  std::copy(from.details.begin() + static_cast<std::ptrdiff_t>(runs.size()), from.details.end(), from.note.begin());
  from.runs = decode_runs(runs);
  auto target = find_region(from.write.region);
  if (target == nullptr)
    return refuse_write(from, errc::unknown_region, from.write.bytes);
  auto total = check_runs(from.runs, target->view.bytes, config_.runs_max);
  if (!total || *total != from.write.bytes)
    return refuse_write(from, total ? errc::invalid_argument : total.error().code, from.write.bytes);
  begin_payload(from);
}

// Or holds the connection until an arrival is polled.
void tcp_backend::begin_payload(tcp_incoming& from) {
  from.held = from.write.note_bytes != 0 && arrivals_reserved_ >= config_.transfers_max;
  if (from.held)
    return;
  if (from.write.note_bytes != 0) {
    ++arrivals_reserved_;
    from.reserved = true;
  }
  from.to.emplace(from.runs);
  from.left = from.write.bytes;
  from.progress = std::chrono::steady_clock::now();
  expect(from, step::payload);
}

void tcp_backend::refuse_write(tcp_incoming& from, errc why, std::uint64_t discard) {
  assert(discard != 0);
  from.verdict = why;
  from.left = discard;
  expect(from, step::discard);
}

void tcp_backend::take_trailer(tcp_incoming& from) {
  auto sent = decode_trailer(std::span{from.small}.first<trailer_bytes>());
  if (!sent)
    return end(from);
  if (from.verdict == errc::none)
    from.verdict = *sent;
  if (from.verdict == errc::none && find_region(from.write.region) == nullptr)
    from.verdict = errc::unknown_region;
  auto landed = from.verdict == errc::none;
  if (std::exchange(from.reserved, false)) {
    if (landed) {
      arrivals_.push_back({from.from, from.write.region, from.note, from.write.note_bytes});
      signal();
    } else {
      --arrivals_reserved_;
    }
  }
  auto answer = encode(frame{.kind = frame_kind::written,
                             .result = from.verdict,
                             .number = from.write.number,
                             .bytes = landed ? from.write.bytes : 0});
  from.out.insert(from.out.end(), answer.begin(), answer.end());
  expect(from, step::header);
}

// -- answers and fences ---------------------------------------------------------------------------------

void tcp_backend::send_answers(locked& lock, tcp_incoming& to) {
  if (to.out.empty())
    return;
  // Other threads may append a fence meanwhile, so the bytes are taken away and put back.
  auto out = std::exchange(to.out, {});
  lock.unlock();
  auto bytes = ::send(to.socket.get(), out.data() + to.sent, out.size() - to.sent, MSG_NOSIGNAL);
  auto code = errno;
  lock.lock();
  if (bytes < 0 && code != EAGAIN && code != EINTR)
    return end(to);
  to.sent += bytes < 0 ? 0 : static_cast<std::size_t>(bytes);
  if (to.sent == out.size()) {
    to.sent = 0;
    return;
  }
  out.insert(out.end(), to.out.begin(), to.out.end());
  to.out = std::move(out);
}

void tcp_backend::post_fence(tcp_incoming& to, tcp_incoming::pending_fence what) {
  to.fences.push_back(what);
  auto bytes = encode(frame{.kind = frame_kind::fence, .number = what.what.value});
  to.out.insert(to.out.end(), bytes.begin(), bytes.end());
}

// Unknown ones were cancelled.
void tcp_backend::fenced(tcp_incoming& from, std::uint64_t fence) {
  if (std::erase_if(from.fences, [&](auto& f) { return f.what.value == fence; }) != 0)
    finish(ticket{fence}, errc::none, 0);
}

void tcp_backend::end(tcp_incoming& connection) {
  close_connection(connection);
  // What the peer had posted and not sent may wait for a connection to come.
  if (!connection.fences.empty())
    grants_.fenced_unseen(connection.from);
  for (auto& f : std::exchange(connection.fences, {}))
    finish(f.what, errc::none, 0);
}

void tcp_backend::refuse(tcp_incoming& connection, std::string_view why) {
  if (config_.on_stranger)
    config_.on_stranger(connection.socket.get(), why);
  end(connection);
}

void tcp_backend::close_connection(tcp_incoming& connection) {
  connection.ended = true;
  connection.socket.close();
  if (std::exchange(connection.reserved, false))
    --arrivals_reserved_;
  if (auto i = writers_.find(connection.from); i != writers_.end() && i->second == &connection)
    writers_.erase(i);
}

} // namespace troupe::transport
