// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include "actors/config/node_config.hpp"
#include "actors/frontend/request_session.hpp"
#include "actors/node/local_services.hpp"
#include "actors/node/node_children.hpp"
#include "messages/interfaces.hpp"
#include "tests/support/fault_backend.hpp"
#include "tests/support/history.hpp"
#include "tests/support/observed_executor.hpp"

namespace troupe::test {

/// What a client of a scenario has got.
struct received {
  /// The placement whose tokens are taken.
  std::uint32_t attempt = 1;
  std::vector<token_id> tokens;
  std::optional<finish_reason> finish;
  std::optional<errc> failure;
  troupe::usage usage;
  /// Ends seen: exactly one is right.
  std::uint32_t ends = 0;
  /// Batches that brought something, i.e. how often its socket would have been written to.
  std::uint32_t batches = 0;
  /// When the oldest token of the last of them was drawn.
  std::optional<std::chrono::nanoseconds> sampled_at;
};

/// A node under virtual time: supervisor, directory, router, workers with mock executors, the memory
/// transport with faults on demand, sessions, and a hub that only records. Nothing moves but in settle()
/// and advance(), on the test's thread.
class scenario {
public:
  struct options {
    std::uint32_t prefill_workers = 1;
    std::uint32_t decode_workers = 1;
    std::uint32_t blocks = 64;
    std::uint32_t chunk_tokens = 64;
    std::uint32_t queued_max = 256;
    std::uint32_t running_max = 64;
    fault_policy faults;
    /// Of a sliding group of three layers beside the full one; 0: none.
    std::uint32_t window_tokens = 0;
    std::uint32_t window_blocks = 64;
    /// As in worker_config.
    std::uint64_t checksum_turn_bytes = worker_config{}.checksum_turn_bytes;
    /// Each worker serves another model file: layers, and with them fingerprints, differ.
    bool unequal_workers = false;
  };

  explicit scenario(options);
  ~scenario();

  /// A request of the mock model, placed by a session of its own. Defaults: greedy, 16 tokens.
  static inference_request make_request(std::uint64_t id, std::uint32_t prompt_tokens,
                                        std::uint32_t output_tokens = 16);
  request_session_actor start(inference_request);
  /// What clients saw; judged by check_history at the scenario's end, which fails the test.
  const history& seen() const { return history_; }
  /// Everything that the hub's client with this id got.
  received& client(std::uint64_t id) { return clients_[request_id{id}]; }
  /// As if the client had closed its connection.
  void disconnect(std::uint64_t id);

  /// Runs actors, executors and transport until nothing moves.
  void settle();
  /// Like settle, but at most this many steps of executors.
  void settle_steps(std::uint32_t steps);
  /// Runs the delayed messages that are due at this instant of virtual time, once, and the actors.
  void run_due();
  /// Lets virtual time pass, settling after each 50 ms.
  void advance(std::chrono::milliseconds);

  load_report load_of(const std::string& worker);
  /// Sum over this node's workers of a metric "troupe.worker.<name>"; role: prefill, decode.
  std::int64_t metric(const std::string& name, const std::string& role);

  void kill(const std::string& service);

  caf::actor_system& system() { return *system_; }
  executor_watch& executors() { return *watch_; }
  /// Executor of the i-th worker that was made and lives; prefill workers come first.
  observed_executor& executor(std::size_t i) { return *watch_->alive.at(i); }
  /// The transport as the endpoint has it at the moment; null if there is none.
  fault_backend* transport() { return transport_; }
  bool gave_up() const { return gave_up_; }

private:
  struct config : caf::actor_system_config {
    config();
  };
  void run_actors();
  bool run_one_step();
  bool poll_transport();

  friend class recording_hub_state;
  std::shared_ptr<executor_watch> watch_ = std::make_shared<executor_watch>();
  fault_backend* transport_ = nullptr;
  std::uint64_t transports_made_ = 0;
  std::map<request_id, received> clients_;
  history history_;
  std::map<request_id, request_session_actor> sessions_;
  bool gave_up_ = false;
  config config_;
  std::unique_ptr<caf::actor_system> system_;
  stream_hub_actor hub_;
  node_supervisor_actor supervisor_;
};

/// The text of a request on a node without prefill workers, whose model has no sliding group.
std::vector<token_id> aggregated_text(std::uint32_t prompt_tokens, std::uint32_t output_tokens = 16);

/// Checks that a worker runs nothing and holds no block, of any cache group: its load is that of the one with less
/// free.
void check_all_free(scenario& node, const std::string& worker);

} // namespace troupe::test
