// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "transport/shared_memory/description.hpp"
#include "transport/shared_memory/mapped_region.hpp"
#include "transport/shared_memory/packet.hpp"
#include "transport/shared_memory/socket.hpp"
#include "transport/stranger_report.hpp"
#include "transport/transport.hpp"

namespace troupe::transport {

/// Bounds of a shared-memory back end; see capabilities.
struct shared_memory_config {
  std::uint64_t bytes_max = std::uint64_t{1} << 30;
  std::uint32_t runs_max = 4096;
  std::uint32_t transfers_max = 4096;
  /// Regions of peers that may be imported at a time.
  std::uint32_t imports_max = 65'536;
  /// Connections of peers that write here, at a time.
  std::uint32_t connections_max = 1024;
  stranger_report on_stranger;
};

/// Moves bytes between processes of one machine and user. A region's owner listens on a socket; a writer connects with
/// the first write, shows the token of the description, gets the file behind the region and maps it. From then on one
/// thread of the writer copies; one of each process talks. Bytes never pass the socket, notes do.
///
/// Life of a write: posted → waits for the connection, then for the region → copying → (with a note: being told to the
/// owner, whose socket may be full) → completed. It can end early from each of these. Order is kept per owner, so that
/// an owner that stands still holds up nobody else's bytes; a write whose deadline passes while it waits ends there.
///
/// Life of a fence: asked over every connection of the peer → answered by each, behind all that was posted there, or
/// ended by the end of that connection → completed. A peer that stands still holds it open: what it had begun could
/// still land. A peer without a connection is fenced at once, by a time: when it connects it learns that what it posted
/// earlier is void. Answers and arrivals come over one socket, so a fence also waits while too many arrivals do.
///
/// remove_region and forget tell the writers to let go, and do not wait for them. The pages of the file live as long as
/// a writer maps them, so late bytes reach that file and no other memory. But they do reach it: who uses the same
/// memory again must fence(peer) first, and so must who closes the back end and goes on using the memory.
///
/// Invariants, under the mutex:
/// 1. A region of ours that the copier touches is pinned, and a pinned region is not forgotten.
/// 2. operations_ counts what is posted and not yet polled; it never exceeds transfers_max, which bounds queues and
///    completions. Nor do arrivals: while that many wait, no connection of a writer is read.
/// 3. A connection outlives every mapping that came over it: a writer that lets go, or dies, has unmapped before its
///    end is closed (mapped_region says how). The owner closes none over which it gave a region before it ends itself.
///    So the end of a connection means that its writer is done, and a fence may rely on it.
/// 4. What waits for a full socket is bounded: for each writer one answer, one fence and a withdrawal per region given;
///    for each owner one arrival or one answer to a fence.
/// 5. The descriptor is readable exactly while there is something to poll.
class shared_memory_backend final : public backend {
public:
  /// Listens as `self` and starts the threads. errc::resource if there is no descriptor or thread,
  /// errc::invalid_argument if somebody listens as `self` already.
  static expected<std::unique_ptr<shared_memory_backend>, error> make(peer_id self, shared_memory_config = {});

  /// Closes. Nobody may be inside another function.
  ~shared_memory_backend() override;

  /// Ends the threads and all connections: what is queued ends with errc::closed, a copy in progress is cut short.
  /// Completions can still be polled. Called by the owner, once or more, not concurrently with itself.
  void close();

  capabilities caps() const override { return {config_.bytes_max, config_.runs_max, config_.transfers_max}; }
  peer_id self() const override { return self_; }
  /// A region without a file can be written from, not described.
  expected<region_id, error> add_region(region_view) override;
  void remove_region(region_id) override;
  /// errc::invalid_argument unless the region has a file that is sealed against shrinking.
  expected<std::string, error> describe(region_id, peer_id reader) override;
  /// Whether the owner accepts the description shows with the first write.
  expected<remote_region, error> import(peer_id owner, std::string_view description) override;
  /// Ends with errc::revoked if the owner does not know the token, or has fenced this peer meanwhile.
  expected<ticket, error> write(region_id source, std::span<const run> source_runs, remote_region target,
                                std::span<const run> target_runs, std::span<const std::byte> note,
                                steady_time deadline) override;
  void cancel(ticket) override;
  expected<ticket, error> fence(peer_id peer) override;
  polled poll(std::span<completion>, std::span<arrival>) override;
  int wake_fd() const override { return wake_.get(); }
  void forget(peer_id) override;
  std::uint64_t bytes_moved() const override { return bytes_moved_.load(std::memory_order_relaxed); }

private:
  // Names what epoll reports; never used twice.
  using connection_id = std::uint64_t;
  static constexpr connection_id poke_id = 1;
  static constexpr connection_id listener_id = 2;

  struct region {
    region_view view;
    std::map<peer_id, region_token> readers; // to whom it was described
    std::uint32_t pins = 0;
    bool removed = false; // waits for its pins
  };
  struct place {
    peer_id owner;
    region_id region;
    friend auto operator<=>(const place&, const place&) = default;
  };

  // -- what a writer has --
  enum class access : std::uint8_t { unknown, requested, mapped, withdrawn };
  struct imported_region {
    place where;
    region_token token{};
    access state = access::unknown;
    errc why = errc::none;                    // withdrawn
    std::shared_ptr<mapped_region> mapping{}; // mapped
  };
  struct transfer {
    region_id source;
    remote_region target;
    std::vector<run> source_runs;
    std::vector<run> target_runs;
    std::uint64_t bytes = 0;
    std::array<std::byte, note_bytes_max> note{};
    std::uint8_t note_bytes = 0;
    steady_time deadline;
    steady_time posted;
  };
  struct job {
    std::uint64_t order = 0;
    ticket what;                  // 0: the answer to a fence of the owner
    std::optional<transfer> copy; // none: a fence
    std::uint64_t fence = 0;      // as the owner numbers it
  };
  enum class stage : std::uint8_t { idle, greeted, welcomed, ended };
  // To one owner, from the first write to it until it is forgotten.
  struct outgoing {
    peer_id owner{};
    connection_id id = 0;
    stage at = stage::idle;
    std::shared_ptr<const descriptor> socket{};
    std::uint32_t watched = 0;            // events
    steady_time void_before{};            // the owner has fenced what was posted earlier
    std::optional<region_id> requested{}; // an answer is due
    bool request_waits = false;           // the socket was full
    std::deque<job> queue{};
    std::optional<job> delivering{}; // done, to be told to the owner
    bool fence_answer_due = false;
  };

  // -- what an owner has --
  struct incoming {
    connection_id id = 0;
    descriptor socket{};
    std::uint32_t watched = 0; // events
    peer_id peer{};            // 0: has not said hello
    steady_time hello_by{};
    std::set<region_id> granted{};
    bool ever_granted = false;
    bool answer_due = false; // in outbox
    std::deque<packet> outbox{};
    std::uint64_t fence_last = 0;    // wanted
    std::uint64_t fence_pending = 0; // in outbox or at the peer; 0: none
    bool condemned = false;          // has broken the rules: what it sends is dropped, until it ends
    bool paused = false;             // no room for arrivals
    bool hung_up = false;            // has ended, while arrivals of it are still unread
  };
  using fence_waits = std::map<connection_id, std::uint64_t>; // the number that each must answer

  explicit shared_memory_backend(peer_id self, shared_memory_config config) : config_(config), self_(self) {}
  expected<void, error> start();

  // All below: under the mutex, save copy_bytes and the waits of the loops.
  // shared_memory_backend.cpp
  region* find_region(region_id);
  void finish(ticket, errc, std::uint64_t bytes);
  void signal();
  void poke() const;
  void discard(std::shared_ptr<const void>);
  expected<std::uint64_t, error> check_transfer(const transfer&);

  // shared_memory_copier.cpp: the copier's thread
  void copier_loop();
  std::shared_ptr<outgoing> find_runnable();
  bool is_runnable(const outgoing&);
  steady_time expire_blocked();
  void carry_out(std::unique_lock<std::mutex>&, const std::shared_ptr<outgoing>&, job);
  expected<void, error> check_again(const outgoing&, const transfer&);
  std::uint64_t copy_unlocked(std::unique_lock<std::mutex>&, const outgoing&, const job&);
  std::uint64_t copy_bytes(const transfer&, const std::byte* source, std::byte* target);
  void deliver(outgoing&);

  // shared_memory_writer.cpp: towards owners, on the thread that talks
  outgoing& outgoing_to(peer_id owner);
  void advance(outgoing&);
  void nudge(const outgoing&) const;
  void greet(outgoing&);
  void request_region(outgoing&, imported_region&);
  void handle_event(outgoing&, std::uint32_t events);
  bool take(outgoing&, const received&);
  bool take_answer(outgoing&, const received&);
  void withdraw(remote_region, errc why);
  void end_outgoing(outgoing&, errc why);
  void update_interest(outgoing&);

  // shared_memory_owner.cpp: towards writers, on the thread that talks
  void talker_loop();
  int patience_ms() const;
  void handle_event(connection_id, std::uint32_t events);
  void accept_writers();
  void listen_for(std::uint32_t events);
  void resume_paused();
  void end_silent();
  void read_packets(incoming&);
  bool take(incoming&, const packet&);
  bool take_hello(incoming&, const packet&);
  void report(const descriptor& stranger, std::string_view why) const;
  bool take_request(incoming&, const packet&);
  void condemn(incoming&);
  void send(incoming&, const packet&);
  void flush(incoming&);
  void revoke(region_id, std::optional<peer_id> reader, errc why);
  void ask_fence(incoming&);
  void settle_fences(connection_id, std::uint64_t answered);
  void end_incoming(connection_id);
  void update_interest(incoming&);

  const shared_memory_config config_;
  const peer_id self_;
  descriptor wake_; // readable: something to poll
  descriptor poke_; // readable: the talker has something to do
  descriptor epoll_;
  descriptor listener_;

  std::mutex mutex_;
  std::condition_variable work_;     // for the copier
  std::condition_variable unpinned_; // a copy has ended
  std::map<region_id, region> regions_;
  std::map<remote_region, imported_region> imports_;
  std::map<place, remote_region> import_index_;
  std::map<peer_id, std::shared_ptr<outgoing>> outgoing_;
  std::map<connection_id, incoming> incoming_;
  std::map<ticket, fence_waits> fences_;
  std::map<peer_id, steady_time> fenced_at_; // of peers to whom regions are described
  std::deque<completion> completions_;
  std::deque<arrival> arrivals_;
  std::vector<std::shared_ptr<const void>> discarded_; // mappings and sockets, for the talker to let go of
  std::uint32_t operations_ = 0;
  std::uint64_t last_ticket_ = 0;
  std::uint64_t last_order_ = 0;
  std::uint32_t last_region_ = 0;
  std::uint32_t last_import_ = 0;
  connection_id last_connection_ = listener_id;
  ticket copying_;                       // 0: none
  const outgoing* copying_to_ = nullptr; // null: none
  bool listening_ = true;                // false for a moment where no connection can be had
  bool signalled_ = false;
  bool closed_ = false;

  std::atomic<bool> stop_copying_ = false;
  std::atomic<std::uint64_t> bytes_moved_ = 0;
  std::thread copier_;
  std::thread talker_;
};

} // namespace troupe::transport
