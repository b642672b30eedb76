// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <caf/typed_event_based_actor.hpp>

#include "actors/worker/landing_blocks.hpp"
#include "actors/worker/token_outbox.hpp"
#include "actors/worker/worker_core.hpp"
#include "messages/interfaces.hpp"

namespace troupe {

// decode_worker: generates the tokens of its sequences.
//
// Owns a scheduler with its KV blocks, and through its device an executor. Sessions hand requests over;
// token batches go to hubs, ends to sessions. For a request that was placed with a prefill peer it
// reserves blocks, offers them as a landing, and reads none before the peer's completion record and
// every block's checksum are right; whatever goes wrong, it prefills by itself. Without a peer it is an
// aggregated worker.
// Ends when its device does (errc::device_failed, or errc::internal after a defect), or with its supervisor.
// Bounds: the scheduler's running_max and queued_max; one token batch under way per hub; a handler hashes
// checksum_turn_bytes of what has landed, and the rest in turns of their own.

class decode_worker_state {
public:
  static inline const char* name = "troupe.decode-worker";

  decode_worker_state(decode_worker_actor::pointer self, worker_config config, transport_endpoint_actor endpoint);

  decode_worker_actor::behavior_type make_behavior();

private:
  /// A request and whom to tell.
  struct client {
    stream_hub_actor hub;
    request_session_actor session;
    std::uint32_t attempt = 0;
    /// Its peer, if it was placed with one.
    std::optional<worker_id> prefill;
    sampling_options sampling;
    std::vector<token_id> tokens;
    std::uint32_t prompt_tokens = 0;
    std::int32_t priority = 0;
    steady_time deadline;
    std::uint32_t cached_tokens = 0;
    bool mixed_workers = false;
  };

  /// A prefill worker and the endpoint that writes for it.
  struct prefill_peer {
    prefill_worker_actor worker;
    transport_peer endpoint;
  };

  ///   reserved ──▶ offered ──▶ delivered (record and all blocks are there) ──▶ read, when all blocks are hashed
  ///       │           │            │
  ///       └───────────┴────────────┴──▶ broken: the prompt is prefilled here
  struct landing {
    /// Of this life of the worker: a request's next landing is another.
    std::uint64_t number = 0;
    prefill_peer peer;
    landing_blocks blocks;
    std::uint32_t cached_tokens = 0;
    std::optional<prefill_completed> record;
    /// When it was offered, or a block arrived last.
    steady_time progressed;

    /// Its writer owes it nothing any more, and is not needed for what is left to do.
    bool is_delivered() const { return record && blocks.all_arrived(); }
  };

  /// A landing that is over, whose writer was asked to write no more. Its blocks are in quarantine:
  ///
  ///   abandoned ──▶ answered: nothing is under way, and nothing will be ──▶ released
  ///       │                                                                   ▲
  ///       └──▶ fenced: the writer is dead, cut off or silent for answer_time_max: our endpoint withdraws what it
  ///            described to the writer's, and says when what was posted is over
  struct abandoned_landing {
    request_id request;
    prefill_peer peer;
  };

  // requests
  caf::result<void> generate(generate_request&, stream_hub_actor&, request_session_actor&);
  void cancel(request_id);
  void forget(request_id);

  // what the scheduler says
  void act(scheduler_events&);
  void emit(const scheduler_events::token&);
  void finish(const scheduler_events::finished&);
  void fail(const scheduler_events::failed&);
  void flush_outboxes();
  void flush(const stream_hub_actor&);
  void lose_hub(const caf::actor_addr&, const std::string& why);

  // landings
  void offer(const scheduler_events::reserved&);
  void describe(request_id, std::uint64_t number, transport_peer writer, std::vector<std::string> regions);
  void send_offer(request_id, landing&);
  void note_arrivals(const kv_blocks_arrived&);
  landing* find_landing(request_id, std::uint64_t number);
  void note_completed(const prefill_completed&, std::uint64_t number);
  void hash_landed();
  std::optional<request_id> next_to_hash() const;
  void try_read(request_id);
  std::optional<std::uint32_t> first_bad_block(const landing&) const;
  void break_landing(request_id, std::uint32_t valid_tokens, scheduler::landing_writer);
  void lose_landings(const std::function<bool(const landing&)>& lost);
  void expire_landings();
  void abandon(request_id, const prefill_peer&);
  void lose_writer(const caf::actor_addr& worker);
  void fence_abandoned(std::uint64_t number);
  void fence(request_id, transport_peer writer);
  void release(request_id);

  // the others
  void follow(const fleet_snapshot&);
  void lose_endpoint();
  void peer_down(const caf::down_msg&);

  decode_worker_actor::pointer self_;
  worker_core<decode_worker_actor> core_;
  std::unordered_map<request_id, client> clients_;
  std::unordered_map<request_id, landing> landings_;
  std::uint64_t last_landing_ = 0;
  /// Blocks are left to be hashed, in a turn that will come.
  bool hash_turn_comes_ = false;
  std::uint64_t last_abandoned_ = 0;
  /// By a number of their own.
  std::map<std::uint64_t, abandoned_landing> abandoned_;
  std::map<stream_hub_actor, token_outbox> outboxes_;
  /// Numbers batches: the time-out of one that died with its hub must not hit the next hub.
  std::uint64_t batches_ = 0;
  /// Hubs that are monitored: one that is gone owes its acknowledgement for ever.
  std::set<caf::actor_addr> hubs_;
  std::unordered_map<worker_id, prefill_peer> prefill_peers_;
  /// Prefill workers that are monitored: one that hung and is back is so already.
  std::set<caf::actor_addr> watched_peers_;
  /// Made once by our endpoint for each of theirs.
  std::unordered_map<transport_peer, std::vector<std::string>> region_descriptions_;
};

decode_worker_actor spawn_decode_worker(caf::actor_system&, worker_config, transport_endpoint_actor endpoint);

} // namespace troupe
