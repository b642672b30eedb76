// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include "actors/config/node_config.hpp"
#include "actors/frontend/stream_hub.hpp"
#include "actors/node/node_children.hpp"
#include "actors/node/node_supervisor.hpp"
#include "tests/simulation/network.hpp"
#include "tests/simulation/simulated_transport.hpp"
#include "tests/support/observed_executor.hpp"

namespace troupe::test {

/// What a node of a simulated cluster runs.
struct node_plan {
  std::string name;
  host_index host = 1;
  bool frontend = false;
  std::uint32_t prefill_workers = 0;
  std::uint32_t decode_workers = 0;
  std::uint32_t blocks = 64;
  /// Of a sliding group beside the full one; 0: none.
  std::uint32_t window_tokens = 0;
  std::uint32_t window_blocks = 0;
  std::uint32_t chunk_tokens = 32;
  std::uint32_t queued_max = 256;
  std::uint32_t running_max = 16;
  /// 5: its steps take five times as long.
  std::uint32_t slowness = 1;
  /// Its workers compute the checksum of one KV block in a turn.
  bool hashes_one_by_one = false;
  /// Hosts where it looks for other nodes.
  std::vector<host_index> seeds;
};

/// What a node's clients and executors are observed by. Calls come while its actors run.
struct node_observer {
  std::function<void(const stream_tokens&)> on_tokens;
  std::function<void(request_id, const error&)> on_failure;
  /// The hub of this frontend is gone, with all its streams.
  std::function<void()> on_hub_lost;
  std::function<void(const std::string& what)> on_defect;
};

/// One life of a node: the actors of a real node's process in an actor system of their own, under virtual time. Real
/// are supervisor, directory, links, router, sessions, stream hub, workers and endpoint; simulated are what they stand
/// on: CAF's network module, the transport, the mock executor's time; sockets and HTTP are left out.
class simulated_node {
public:
  simulated_node(timeline&, splitmix64&, network&, simulated_fabric&, node_plan, std::uint64_t life, node_observer);
  ~simulated_node();

  const node_plan& plan() const { return plan_; }
  network_port& port() { return *port_; }
  bool runs() const { return !port_->is_dead() && !port_->is_frozen(); }
  /// The supervisor gave up: the process ends.
  bool gave_up() const { return gave_up_; }

  /// Runs what is due until nothing moves, actors in drawn order. False: nothing did.
  bool run_actors();
  /// When one of its actors wants to be woken.
  std::optional<virtual_instant> next_timer();
  void move_time_to(virtual_instant);

  /// A client sends a request. False: no frontend is there to take it.
  bool open(inference_request);
  /// A client closes its connection.
  void close(request_id);

  /// kill -9.
  void kill();
  void freeze();
  void thaw();
  /// SIGTERM; `done` when the process may end.
  void drain(std::chrono::milliseconds limit, std::function<void()> done);
  /// Kills an actor of a child's name, e.g. "troupe.router"; false if it is not there.
  bool kill_actor(const std::string& name);
  /// An actor of a child's name is not run until resume_actors().
  bool hang_actor(const std::string& name);
  void resume_actors();
  /// The device of one of its workers is lost; false if none is there.
  bool lose_device(std::uint32_t which);

  std::vector<std::string> actor_names() const;
  /// Empty if the worker is not there.
  std::optional<load_report> load_of(const std::string& worker);
  std::vector<std::string> workers() const { return worker_names(config_); }

private:
  caf::scheduler::test_coordinator& scheduler();
  void make_children(std::uint64_t life);
  expected<std::unique_ptr<gpu::executor>, gpu::error> make_executor(const worker_section&);
  child_spec links_child(std::uint64_t life);
  child_spec hub_child();
  void time_step(observed_executor&, const gpu::step&);
  void end_step(std::uint64_t executor);
  bool poll_transport();
  bool hold_back();
  stream_hub_config hub_config() const;

  timeline& time_;
  splitmix64& random_;
  network& network_;
  simulated_fabric& fabric_;
  const node_plan plan_;
  node_observer observer_;
  node_config config_;
  caf::actor_system_config caf_config_;
  /// Not before the system, which its hooks must outlive.
  std::shared_ptr<executor_watch> watch_ = std::make_shared<executor_watch>();
  std::map<observed_executor*, virtual_instant> busy_until_;
  transport::backend* backend_ = nullptr;
  bool news_ = false;
  bool gave_up_ = false;
  std::unique_ptr<caf::actor_system> system_;
  network_port* port_ = nullptr;
  node_supervisor_actor supervisor_;
  std::vector<request_session_actor> sessions_;
  std::set<caf::actor_id> hung_;
  /// What they would run.
  std::vector<caf::resumable*> hung_jobs_;
  /// Steps that came due while it was frozen.
  std::vector<std::uint64_t> kept_steps_;
};

} // namespace troupe::test
