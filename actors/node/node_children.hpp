// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "actors/config/node_config.hpp"
#include "actors/node/node_supervisor.hpp"
#include "actors/node/node_system.hpp"
#include "actors/transport/transport_endpoint.hpp"
#include "actors/worker/worker_config.hpp"
#include "gpu/executor.hpp"
#include "transport/transport.hpp"

namespace troupe {

/// What a node's actors are made from, beside its configuration. Tests put other parts in.
struct node_parts {
  /// What its workers serve.
  std::string model;
  vocabulary_id vocabulary;
  /// What its frontend knows, by name; empty without one.
  std::map<std::string, vocabulary_id> known_models;
  /// Makes ids and epochs of its workers unique in the cluster; empty if the node is alone.
  node_identity identity;
  /// An executor for one worker with these bounds. Called for each start of a worker, from its actor.
  std::function<expected<std::unique_ptr<gpu::executor>, gpu::error>(const worker_section&)> make_executor;
  /// Called for each start of the transport endpoint.
  std::function<expected<std::unique_ptr<transport::backend>, transport::error>()> make_backend;
  transport_endpoint_config::polling poll = transport_endpoint_config::polling::thread;
  /// Of its workers.
  std::uint64_t checksum_turn_bytes = worker_config{}.checksum_turn_bytes;
};

/// FNV-1a: the same in each of a node's lives.
std::uint64_t hash_of_name(const std::string&);

/// Name of a worker as a child of the supervisor: "troupe.prefill-worker/1", … `role` is role_prefill or role_decode.
std::string worker_name(std::uint32_t role, std::uint32_t index);

/// Names of the workers that are actors of this process, as local services.
std::vector<std::string> worker_names(const node_config&);

/// The children of a node's supervisor, in the order in which they start: transport endpoint,
/// directory, router, workers of this process. The frontend and isolated workers are added by whoever has them.
std::vector<child_spec> make_node_children(caf::actor_system&, const node_config&, node_parts);

} // namespace troupe
