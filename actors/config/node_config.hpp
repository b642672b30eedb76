// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "actors/config/address.hpp"
#include "actors/config/field_visitor.hpp"
#include "actors/config/quantity.hpp"
#include "actors/log/log_config.hpp"
#include "gpu/host/simd_path.hpp"

/// The configuration of a node: one struct per section, its fields' defaults, and for each struct the
/// describe() that declares key, sentence and bounds of every field (in node_config.cpp). To add an
/// option, add a field here and a line there; reading, validation and reference.conf follow.
namespace troupe {

/// `http`: the REST gateway.
struct http_section {
  listen_address listen{"127.0.0.1", 8000};

  friend bool operator==(const http_section&, const http_section&) = default;
};

/// `admin`: the listener for whoever operates the node.
struct admin_section {
  listen_address listen{"127.0.0.1", 8001};

  friend bool operator==(const admin_section&, const admin_section&) = default;
};

/// `cluster`: the plane over which nodes find each other and talk.
struct cluster_section {
  std::string name = "troupe";
  std::string node;
  listen_address listen{"127.0.0.1", 7400};
  std::vector<listen_address> seeds;
  /// Empty: none. Absolute after reading.
  std::filesystem::path lease_folder;
  config_time lease_time = std::chrono::seconds{10};
  /// All three or none. Absolute after reading.
  std::filesystem::path certificate;
  std::filesystem::path key;
  std::filesystem::path ca;

  bool encrypted() const { return !certificate.empty(); }

  friend bool operator==(const cluster_section&, const cluster_section&) = default;
};

/// What weights are kept as in memory.
enum class weight_dtype : std::uint8_t { automatic, f32, bf16, q8_0 };

/// `model`: what the node serves, or knows to be served elsewhere.
struct model_section {
  /// Required. Absolute after reading.
  std::filesystem::path path;
  std::string name;
  weight_dtype dtype = weight_dtype::automatic;

  /// Its name in requests.
  std::string served_name() const;

  friend bool operator==(const model_section&, const model_section&) = default;
};

/// `compute`: the process's one pool of compute threads.
struct compute_section {
  /// 0: as many as affinity and cgroup allow.
  std::uint32_t threads = 0;
  /// Nothing: the fastest that the machine has.
  std::optional<gpu::host::simd_path> simd;

  friend bool operator==(const compute_section&, const compute_section&) = default;
};

enum class kv_dtype : std::uint8_t { f32 };

/// `kv`: the KV blocks of each worker.
struct kv_section {
  std::uint64_t memory_bytes = gib(1);
  std::uint32_t block_tokens = 16;
  kv_dtype dtype = kv_dtype::f32;
  config_time landing_lease = std::chrono::seconds{30};

  friend bool operator==(const kv_section&, const kv_section&) = default;
};

enum class router_policy : std::uint8_t { least_loaded };

/// `router`: where requests go.
struct router_section {
  router_policy policy = router_policy::least_loaded;
  std::uint32_t disaggregate_over = 0;

  friend bool operator==(const router_section&, const router_section&) = default;
};

/// Where a worker runs: among the node's actors, or in a child process of its own.
enum class isolation_kind : std::uint8_t { thread, process };

/// `prefill-worker` and `decode-worker`: bounds of each worker of that role.
struct worker_section {
  std::uint32_t count = 1;
  isolation_kind isolation = isolation_kind::thread;
  std::uint32_t chunk_tokens = 256;
  std::uint32_t batch_tokens = 512;
  std::uint32_t running_max = 64;
  std::uint32_t queued_max = 256;

  friend bool operator==(const worker_section&, const worker_section&) = default;
};

/// `limits`: what one client may ask for.
struct limits_section {
  std::uint64_t headers_bytes = kib(16);
  std::uint32_t header_count = 100;
  config_time header_timeout = std::chrono::seconds{5};
  std::uint64_t body_bytes = mib(8);
  std::uint32_t json_depth = 64;
  std::uint32_t n_max = 8;
  std::uint32_t stop_count = 16;
  std::uint64_t stop_bytes = 256;
  std::uint32_t connections = 2'048;
  config_time request_timeout = std::chrono::seconds{600};
  config_time queue_timeout = std::chrono::seconds{30};
  std::uint32_t retries_max = 7;

  friend bool operator==(const limits_section&, const limits_section&) = default;
};

/// `supervisor`: what happens to actors that fail, and at the end.
struct supervisor_section {
  std::uint32_t restarts_max = 3;
  config_time restart_window = std::chrono::seconds{10};
  config_time backoff_first = std::chrono::milliseconds{100};
  config_time backoff_max = std::chrono::seconds{5};
  config_time stall_timeout = std::chrono::seconds{20};
  config_time step_timeout = std::chrono::seconds{300};
  config_time drain_timeout = std::chrono::seconds{30};

  friend bool operator==(const supervisor_section&, const supervisor_section&) = default;
};

enum class executor_kind : std::uint8_t { host, mock };

/// `executor.mock`: the time model of the mock executor. A step of r rows and p prompt tokens takes
/// step_base + r × per_row + p × per_prompt_token. And what goes wrong with it by design.
struct mock_section {
  enum class fault_kind : std::uint8_t { none, device_lost, crash, slow };

  config_time step_base = std::chrono::milliseconds{2};
  config_time per_row = std::chrono::microseconds{100};
  config_time per_prompt_token = std::chrono::microseconds{20};
  fault_kind fault = fault_kind::none;
  std::uint32_t fault_after_steps = 0;

  friend bool operator==(const mock_section&, const mock_section&) = default;
};

/// `executor`: what computes.
struct executor_section {
  executor_kind kind = executor_kind::host;
  mock_section mock;

  friend bool operator==(const executor_section&, const executor_section&) = default;
};

/// The section `troupe`, i.e. a whole file.
struct node_config {
  /// The node's own workers serve the first; its frontend knows the others, too.
  model_section model;
  std::vector<model_section> further_models;
  /// Present: the node runs that role.
  std::optional<cluster_section> cluster;
  std::optional<http_section> http;
  std::optional<admin_section> admin;
  std::optional<worker_section> prefill_worker;
  std::optional<worker_section> decode_worker;
  router_section router;
  kv_section kv;
  compute_section compute;
  executor_section executor;
  limits_section limits;
  supervisor_section supervisor;
  log_config log;

  friend bool operator==(const node_config&, const node_config&) = default;
};

/// Visits every option in the order of reference.conf.
void describe(field_visitor&, node_config&);

/// Whether some of its workers run in child processes.
bool has_isolated_workers(const node_config&);

/// What `troupe run MODEL.gguf` runs: prefill and decode worker in this process, every prompt handed
/// over, a gateway at a port that the system chooses.
node_config default_config(std::filesystem::path model);

} // namespace troupe
