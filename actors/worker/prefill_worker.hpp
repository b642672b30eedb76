// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include "actors/worker/worker_core.hpp"
#include "messages/interfaces.hpp"

namespace troupe {

// prefill_worker: computes prompts and pushes their KV blocks into the landings of decode workers while
// it computes.
//
// Owns a scheduler with its KV blocks, and through its device an executor. Decode workers ask; each
// answer is a completion record, given only when the transport says that every block is in place.
// Ends when its device does (errc::device_failed, or errc::internal after a defect), or with its supervisor.
// Bounds: the scheduler's running_max and queued_max; a handler hashes checksum_turn_bytes of what is to be pushed (a
// prompt that was found in the cache is computed all at once), and the rest in turns of their own.

class prefill_worker_state {
public:
  static inline const char* name = "troupe.prefill-worker";

  prefill_worker_state(prefill_worker_actor::pointer self, worker_config config, transport_endpoint_actor endpoint);

  prefill_worker_actor::behavior_type make_behavior();

private:
  /// A block that is computed and waits to be pushed. Its sequence holds it until the job ends.
  struct computed_block {
    std::size_t group = 0;
    /// In the prompt's block table of that group.
    std::uint32_t index = 0;
    block_id source = 0;
  };

  ///   computing ──▶ computed (first token known) ──▶ answered, when every block is pushed
  struct job {
    /// Of this life of the worker: a request's next job is another.
    std::uint64_t number = 0;
    kv_landing landing;
    caf::actor_addr asker;
    caf::typed_response_promise<prefill_completed> promise;
    std::deque<computed_block> unpushed;
    /// Of each block that was pushed, of each cache group.
    std::vector<std::vector<std::uint64_t>> checksums;
    std::optional<sampled_token> first;
    std::uint32_t cached_tokens = 0;
    steady_time deadline;
  };

  /// Pushes of one job that the endpoint has not answered. They may outlive the job.
  struct writing {
    abandon_landing whose;
    std::uint32_t pushes = 0;
  };

  /// Who waits for the last push into a landing.
  struct abandoning {
    abandon_landing what;
    caf::typed_response_promise<void> promise;
  };

  caf::result<prefill_completed> prefill(prefill_request&);
  void cancel(request_id, const error& why);
  void lose_asker(const caf::actor_addr&);
  caf::result<void> abandon(const abandon_landing&);
  bool is_writing_for(const abandon_landing&) const;
  void push_ended(std::uint64_t job_number);
  void act(scheduler_events&);
  bool fits(const kv_landing&, std::uint32_t tokens) const;
  void note_computed(const scheduler_events::computed&);
  void push_computed();
  std::optional<request_id> next_to_push() const;
  std::uint64_t push_some(request_id, std::uint64_t bytes_max);
  void send_push(request_id, std::size_t group, push_blocks);
  void give_up(request_id, const caf::error&);
  void answer_if_done(request_id);

  prefill_worker_actor::pointer self_;
  worker_core<prefill_worker_actor> core_;
  std::unordered_map<request_id, job> jobs_;
  std::uint64_t last_job_ = 0;
  /// Blocks are left to be pushed, in a turn that will come.
  bool push_turn_comes_ = false;
  /// By the number of the job.
  std::map<std::uint64_t, writing> writing_;
  std::vector<abandoning> abandoned_;
  /// Decode workers that are monitored: for one that is gone nothing is computed.
  std::set<caf::actor_addr> askers_;
};

prefill_worker_actor spawn_prefill_worker(caf::actor_system&, worker_config, transport_endpoint_actor endpoint);

} // namespace troupe
