// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "transport/stranger_report.hpp"
#include "transport/tcp/description.hpp"
#include "transport/tcp/grants.hpp"
#include "transport/tcp/incoming.hpp"
#include "transport/tcp/outgoing.hpp"
#include "transport/transport.hpp"

struct iovec;

namespace troupe::transport {

/// Where a TCP back end listens, and its bounds; see capabilities.
struct tcp_config {
  /// An IPv4 loopback address: connections carry no keys yet.
  std::string host = "127.0.0.1";
  /// 0: any that is free.
  std::uint16_t port = 0;
  std::uint64_t bytes_max = std::uint64_t{1} << 30;
  std::uint32_t runs_max = 4096;
  std::uint32_t transfers_max = 4096;
  /// Regions of peers that may be imported at a time.
  std::uint32_t imports_max = 65'536;
  /// Connections of peers at a time, those that have not said hello included; more are closed at once.
  std::uint32_t connections_max = 1024;
  /// A peer that has not answered a fence by then loses its connection, which ends the fence.
  std::chrono::milliseconds fence_time_max{2000};
  std::chrono::milliseconds connect_time_max{2000};
  /// From the connection to the hello.
  std::chrono::milliseconds hello_time_max{5000};
  /// A connection ends when for so long nothing moved on it, while a write was under way or the peer's kernel was
  /// silent. So an owner has to poll its arrivals more often than that.
  std::chrono::milliseconds silence_time_max{5000};
  stranger_report on_stranger;
};

/// Moves bytes between processes: one thread does all input and output, straight between registered memory and sockets.
/// The writer makes one connection to each owner, with its first write; a connection that fails ends what was posted
/// for it with errc::peer_gone, and the next write makes another. It may be connected to itself.
///
/// Life of a write: posted → queued → sending → sent → completed. A cancelled, expired or orphaned one goes from queued
/// to completed; once it is being sent, a cancel comes too late. What the target says about it (range, token, region)
/// is in its completion. Writes start in order of posting for each owner, not among owners.
///
/// A write that was posted before its connection was made ends with peer_gone if the owner has fenced this peer
/// meanwhile.
///
/// Invariants, under mutex_ (which is not held while bytes move):
/// 1. A region that the thread reads or writes is pinned, and a pinned region is not forgotten. A pin lasts one system
///    call, not one write.
/// 2. operations_ counts what is under way or completed but not polled; it never exceeds transfers_max.
/// 3. Whoever receives the payload of a write with a note has an arrival reserved; arrivals_reserved_ never exceeds
///    transfers_max.
/// 4. The descriptor is readable exactly while there is something to poll.
/// 5. Only the thread ends connections, and nothing of a connection lands once it has ended.
class tcp_backend final : public backend {
public:
  /// Listens, and starts the thread. errc::invalid_argument for a host that is not a loopback address, errc::resource
  /// if there is no descriptor, port or thread.
  static expected<std::unique_ptr<tcp_backend>, error> make(peer_id self, tcp_config = {});

  /// Closes. Nobody may be inside another function.
  ~tcp_backend() override;

  /// Ends the thread and all connections: what is under way ends with errc::closed, regions are withdrawn. Completions
  /// can still be polled. Called by the owner, once or more, not concurrently with itself.
  void close();

  /// Where peers connect.
  tcp_address where() const { return where_; }

  capabilities caps() const override;
  peer_id self() const override { return self_; }
  expected<region_id, error> add_region(region_view) override;
  void remove_region(region_id) override;
  expected<std::string, error> describe(region_id, peer_id reader) override;
  /// Does not ask the owner: an outdated description shows when it is written to.
  expected<remote_region, error> import(peer_id owner, std::string_view description) override;
  expected<ticket, error> write(region_id source, std::span<const run> source_runs, remote_region target,
                                std::span<const run> target_runs, std::span<const std::byte> note,
                                steady_time deadline) override;
  void cancel(ticket) override;
  expected<ticket, error> fence(peer_id peer) override;
  polled poll(std::span<completion>, std::span<arrival>) override;
  int wake_fd() const override { return wake_fd_.get(); }
  void forget(peer_id) override;
  /// Payload bytes sent.
  std::uint64_t bytes_moved() const override { return bytes_moved_.load(std::memory_order_relaxed); }

private:
  struct region {
    region_view view;
    std::uint32_t pins = 0;
    bool removed = false; // waits for its pins
  };
  using place = std::pair<peer_id, region_id>;
  using locked = std::unique_lock<std::mutex>;
  enum class end_of : std::uint8_t { peer, us };

  tcp_backend(peer_id self, tcp_config, socket_handle listener, tcp_address where);
  expected<void, error> start();

  // All below: under mutex_. Those that take the lock release it while bytes move.
  region* find_region(region_id);
  expected<void, error> check_write(tcp_write&);
  tcp_outgoing& find_or_add_link(const tcp_description&);
  void finish(ticket, errc, std::uint64_t bytes);
  void signal();
  void nudge();

  // The thread (tcp_loop.cpp).
  void io_loop();
  int wait_ms() const;
  void dispatch(locked&, std::uint64_t number, std::uint32_t events);
  void accept_all();
  void serve();
  void expire(steady_time now);
  void expire_incoming(tcp_incoming&, steady_time now);
  void expire_outgoing(tcp_outgoing&, steady_time now);
  void watch(int fd, std::uint64_t number, std::uint32_t& watched, std::uint32_t events);
  void sweep();
  void end_everything();

  // Connections of peers (tcp_receive.cpp).
  void receive(locked&, tcp_incoming&);
  std::size_t room_for(tcp_incoming&, std::span<iovec>);
  void received(tcp_incoming&, std::size_t bytes);
  void take_hello(tcp_incoming&);
  void take_header(tcp_incoming&);
  void take_details(tcp_incoming&);
  void take_trailer(tcp_incoming&);
  void begin_payload(tcp_incoming&);
  void refuse_write(tcp_incoming&, errc, std::uint64_t discard);
  void expect(tcp_incoming&, tcp_incoming::step);
  bool wants_input(const tcp_incoming&) const;
  void send_answers(locked&, tcp_incoming&);
  void post_fence(tcp_incoming&, tcp_incoming::pending_fence);
  void fenced(tcp_incoming&, std::uint64_t fence);
  /// Its fences end with it.
  void end(tcp_incoming&);
  void refuse(tcp_incoming&, std::string_view why);
  void close_connection(tcp_incoming&);

  // Connections to owners (tcp_send.cpp).
  void connect(tcp_outgoing&);
  void send(locked&, tcp_outgoing&);
  bool find_message(tcp_outgoing&);
  void begin_write(tcp_outgoing&, std::unique_ptr<tcp_write>);
  std::size_t pieces_of(tcp_outgoing_message&, region*, std::span<iovec>, const trailer_buffer&);
  void advance(tcp_outgoing&, std::size_t bytes);
  void receive(locked&, tcp_outgoing&);
  void take_hello(tcp_outgoing&);
  void take_frame(tcp_outgoing&);
  void take_written(tcp_outgoing&, const frame&);
  void drop_queued_writes(tcp_outgoing&, errc);
  void end(tcp_outgoing&, end_of, errc);

  const tcp_config config_;
  const peer_id self_;
  const tcp_address where_;
  const socket_handle listener_;
  socket_handle epoll_;
  socket_handle wake_fd_;
  socket_handle nudge_fd_;

  std::mutex mutex_;
  std::condition_variable unpinned_;
  std::deque<completion> completions_;
  std::deque<arrival> arrivals_;
  std::uint32_t operations_ = 0;
  std::uint32_t arrivals_reserved_ = 0; // queued here or being received
  std::map<region_id, region> regions_;
  grant_table grants_;
  std::map<remote_region, tcp_description> imports_;
  std::map<place, remote_region> import_index_;
  // By number, until swept; those that have not ended also by peer.
  std::map<std::uint64_t, std::unique_ptr<tcp_incoming>> incoming_;
  std::map<std::uint64_t, std::unique_ptr<tcp_outgoing>> outgoing_;
  std::map<peer_id, tcp_incoming*> writers_;
  std::map<peer_id, tcp_outgoing*> links_;
  // The last connection to an imported owner that the owner has ended.
  std::map<peer_id, std::uint64_t> ended_there_;
  std::uint64_t last_connection_;
  std::uint64_t last_ticket_ = 0;
  std::uint32_t last_region_ = 0;
  std::uint32_t last_import_ = 0;
  bool signalled_ = false;
  bool nudged_ = false;
  bool closed_ = false;

  // Only the thread's.
  std::vector<std::byte> padding_; // what is discarded goes here, what pads comes from zeros_
  std::vector<std::byte> zeros_;
  std::uint32_t listening_ = 0;
  steady_time accept_again_;
  steady_time next_expiry_;

  std::atomic<std::uint64_t> bytes_moved_ = 0;
  std::thread thread_;
};

} // namespace troupe::transport
