// SPDX-License-Identifier: Apache-2.0
// The thread that copies.
#include <algorithm>
#include <array>
#include <cstring>

#include "transport/runs.hpp"
#include "transport/shared_memory/shared_memory_backend.hpp"

namespace troupe::transport {

namespace {

// How much is copied between two looks at the request to stop: about 0.1 ms.
constexpr std::uint64_t piece_bytes_max = std::uint64_t{1} << 20;

} // namespace

void shared_memory_backend::copier_loop() {
  std::unique_lock lock{mutex_};
  while (!closed_) {
    if (auto out = find_runnable()) {
      auto next = std::move(out->queue.front());
      out->queue.pop_front();
      carry_out(lock, out, std::move(next));
      continue;
    }
    auto next_end = expire_blocked();
    if (next_end == steady_time::max())
      work_.wait(lock);
    else
      work_.wait_until(lock, next_end);
  }
}

// Of the owners that can be served now, the one whose next operation was posted first.
std::shared_ptr<shared_memory_backend::outgoing> shared_memory_backend::find_runnable() {
  std::shared_ptr<outgoing> best;
  for (auto& [peer, out] : outgoing_)
    if (is_runnable(*out) && (best == nullptr || out->queue.front().order < best->queue.front().order))
      best = out;
  return best;
}

bool shared_memory_backend::is_runnable(const outgoing& out) {
  if (out.at == stage::ended || out.delivering || out.queue.empty())
    return false;
  auto& next = out.queue.front();
  if (!next.copy || next.copy->deadline <= std::chrono::steady_clock::now())
    return true;
  auto state = imports_.at(next.copy->target).state;
  return out.at == stage::welcomed && (state == access::mapped || state == access::withdrawn);
}

// Ends the queued writes whose time is over. Returns when the next one's will be. Only called where none can run, so
// that it does not look at every queue for every write.
steady_time shared_memory_backend::expire_blocked() {
  auto now = std::chrono::steady_clock::now();
  auto next_end = steady_time::max();
  for (auto& [peer, out] : outgoing_) {
    auto expired = std::erase_if(out->queue, [&](auto& j) {
      if (!j.copy)
        return false;
      if (j.copy->deadline > now) {
        next_end = std::min(next_end, j.copy->deadline);
        return false;
      }
      finish(j.what, errc::timed_out, 0);
      return true;
    });
    if (expired != 0)
      nudge(*out);
  }
  // What stood behind may be able to run.
  return find_runnable() ? now : next_end;
}

void shared_memory_backend::carry_out(std::unique_lock<std::mutex>& lock, const std::shared_ptr<outgoing>& out,
                                      job next) {
  if (next.copy) {
    // Time has passed since the write was posted: regions may be gone, and the target's size is known now.
    if (auto sound = check_again(*out, *next.copy); !sound) {
      finish(next.what, sound.error().code, 0);
      return nudge(*out);
    }
    auto moved = copy_unlocked(lock, *out, next);
    auto ended = out->at == stage::ended;
    if (ended || moved < next.copy->bytes) {
      auto cut_short = closed_ ? errc::closed : errc::cancelled;
      return finish(next.what, ended ? errc::peer_gone : cut_short, moved);
    }
  }
  auto to_tell = next.copy ? next.copy->note_bytes != 0 : next.what.value == 0;
  if (!to_tell) {
    finish(next.what, errc::none, next.copy ? next.copy->bytes : 0);
    return nudge(*out);
  }
  out->delivering = std::move(next);
  deliver(*out);
}

expected<void, error> shared_memory_backend::check_again(const outgoing& out, const transfer& copy) {
  if (copy.deadline <= std::chrono::steady_clock::now())
    return fail(errc::timed_out, "");
  if (copy.posted <= out.void_before)
    return fail(errc::revoked, "posted before a fence");
  if (auto sound = check_transfer(copy); !sound)
    return unexpected{sound.error()};
  auto& target = imports_.at(copy.target);
  if (out.owner == self_ && find_region(target.where.region) == nullptr)
    return fail(errc::unknown_region, "");
  return {};
}

// REQUIRES: check_again. Pins our regions; the mapping keeps the target's pages and its connection, whatever happens to
// the import.
std::uint64_t shared_memory_backend::copy_unlocked(std::unique_lock<std::mutex>& lock, const outgoing& out,
                                                   const job& next) {
  auto& target = imports_.at(next.copy->target);
  auto mapping = target.mapping;
  std::array<region*, 2> pinned{find_region(next.copy->source),
                                out.owner == self_ ? find_region(target.where.region) : nullptr};
  for (auto r : pinned)
    if (r != nullptr)
      ++r->pins;
  copying_ = next.what;
  copying_to_ = &out;
  stop_copying_ = false;
  lock.unlock();
  auto moved = copy_bytes(*next.copy, pinned[0]->view.data, mapping->data());
  lock.lock();
  copying_ = {};
  copying_to_ = nullptr;
  if (mapping.use_count() == 1)
    discard(std::move(mapping));
  for (auto r : pinned)
    if (r != nullptr)
      --r->pins;
  unpinned_.notify_all();
  return moved;
}

std::uint64_t shared_memory_backend::copy_bytes(const transfer& copy, const std::byte* source, std::byte* target) {
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

// Tells the owner of a write, or answers its fence. If the socket is full, on_writable tries again. The system call
// orders the bytes before the packet.
void shared_memory_backend::deliver(outgoing& out) {
  auto& told = *out.delivering;
  packet what{.kind = packet_kind::fenced, .first = told.fence};
  if (told.copy) {
    auto& copy = *told.copy;
    auto i = imports_.find(copy.target);
    what = {.kind = packet_kind::arrived, .note_bytes = copy.note_bytes, .region = i->second.where.region.value};
    what.note = copy.note;
  }
  switch (send_packet(*out.socket, what)) {
    case sent::full: return update_interest(out);
    case sent::gone: return end_outgoing(out, errc::peer_gone);
    case sent::done: break;
  }
  if (told.copy)
    finish(told.what, errc::none, told.copy->bytes);
  else
    out.fence_answer_due = false;
  out.delivering.reset();
  update_interest(out);
  work_.notify_one();
  nudge(out);
}

} // namespace troupe::transport
