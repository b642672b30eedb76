// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include "actors/config/node_config.hpp"
#include "actors/frontend/request_session.hpp"
#include "actors/node/node_supervisor.hpp"
#include "gpu/host/compute_pool.hpp"
#include "gpu/host/host_weights.hpp"
#include "gpu/host/simd_path.hpp"
#include "messages/interfaces.hpp"
#include "tests/support/logit_log.hpp"

namespace troupe::test {

/// What the client of one request got.
struct answer {
  std::vector<token_id> tokens;
  std::optional<finish_reason> finish;
  std::optional<errc> failure;
  troupe::usage usage;
  bool ended() const { return finish || failure; }
};

/// The answers of a host_node's clients, for its actors and for the test's thread.
class answer_table;

/// The actors of a real node on real threads: supervisor, directory, router, workers with host executors,
/// transport endpoint with the memory back end, sessions; and a hub that only records. A log keeps the
/// hash of every logit row.
class host_node {
public:
  struct options {
    std::shared_ptr<const gpu::host::host_weights> weights;
    gpu::host::simd_path path{};
    std::uint32_t threads = 2;
    /// 0: aggregated. Else every prompt is handed over.
    std::uint32_t prefill_workers = 0;
    std::uint32_t chunk_tokens = 4096;
    std::uint32_t blocks = 384;
    /// Of the sliding group, if the model has one; 0: as many.
    std::uint32_t window_blocks = 0;
  };
  struct outcome {
    /// In the order of the requests.
    std::vector<answer> answers;
    logit_record logits;
  };

  /// Returns when the workers know each other.
  explicit host_node(options);
  ~host_node();

  /// Answers requests, `group` at a time: nothing is computed before the worker has the whole group, in order.
  outcome run(std::span<const inference_request>, std::uint32_t group);

  /// See sum_metric. What the answers of run() rest on is counted.
  std::int64_t metric(std::string_view name, std::string_view role);

private:
  struct system_config : caf::actor_system_config {
    system_config();
  };

  /// Makes the actors; when one of the waits after it fails, the destructor still ends them.
  host_node(options, std::shared_ptr<gpu::host::compute_pool>);

  node_config configure() const;
  void start_actors();
  void wait_until_healthy();
  void warm_up();
  request_id start(inference_request);
  answer wait_for(request_id);
  /// Requests that the decode worker knows.
  std::uint32_t load();
  load_report load_of(const std::string& worker);

  options options_;
  std::shared_ptr<gpu::host::compute_pool> pool_;
  std::shared_ptr<logit_log> log_ = std::make_shared<logit_log>();
  std::shared_ptr<answer_table> answers_;
  std::uint64_t last_request_ = 0;
  std::map<request_id, request_session_actor> sessions_;
  system_config config_;
  std::unique_ptr<caf::actor_system> system_;
  stream_hub_actor hub_;
  node_supervisor_actor supervisor_;
};

} // namespace troupe::test
