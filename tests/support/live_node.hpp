// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include "actors/config/node_config.hpp"
#include "actors/node/local_services.hpp"
#include "actors/node/node_supervisor.hpp"
#include "gpu/mock/mock_executor.hpp"
#include "messages/interfaces.hpp"

namespace troupe::test {

/// The whole node as run_node() makes it, on real threads and real sockets, but with mock executors, whose
/// tokens are the letters a to z, and with a door to its actors for tests that break them.
class live_node {
public:
  struct options {
    std::uint32_t prefill_workers = 1;
    std::uint32_t decode_workers = 1;
    std::uint32_t chunk_tokens = 64;
    std::uint32_t queued_max = 256;
    std::uint32_t running_max = 64;
    /// Time of a step; a gated decode worker completes only what release() lets through.
    std::chrono::microseconds step_time{500};
    gpu::mock::pace decode_pace = gpu::mock::pace::timer;
  };

  explicit live_node(const options&);
  ~live_node();

  std::uint16_t port();
  caf::actor_system& system() { return *system_; }

  /// Executor of a worker as it lives now, by the worker's place: prefill workers come first.
  std::shared_ptr<gpu::mock::mock_executor> executor(std::size_t worker);

  /// Ends an actor as if it had crashed.
  void kill(std::string_view service);
  /// The same for the session of the newest request.
  void kill_newest_session();
  /// Waits until nothing holds the session of the newest request any more, not even the clock. False: the time
  /// ended. Afterwards there is no newest session.
  bool wait_until_newest_session_is_gone(std::chrono::seconds = std::chrono::seconds{20});

  /// Waits until /health says 200. False: the time ended.
  bool wait_until_healthy(std::chrono::seconds = std::chrono::seconds{20});
  /// Waits until all blocks of all workers are free, none in quarantine and nothing runs. False: the time ended.
  bool wait_until_idle(std::chrono::seconds = std::chrono::seconds{20});
  bool gave_up() const { return *gave_up_; }

private:
  load_report load_of(const std::string& worker);

  std::mutex mutex_;
  std::vector<std::weak_ptr<gpu::mock::mock_executor>> executors_;
  request_session_actor newest_session_;
  std::shared_ptr<std::atomic<bool>> gave_up_ = std::make_shared<std::atomic<bool>>(false);
  node_config node_;
  caf::actor_system_config config_;
  std::unique_ptr<caf::actor_system> system_;
  node_supervisor_actor supervisor_;
};

} // namespace troupe::test
