// SPDX-License-Identifier: Apache-2.0
#include "actors/node/node_children.hpp"

#include <atomic>
#include <utility>

#include <caf/send.hpp>

#include "actors/log/log.hpp"
#include "actors/node/directory.hpp"
#include "actors/node/local_services.hpp"
#include "actors/router/router.hpp"
#include "actors/worker/decode_worker.hpp"
#include "actors/worker/prefill_worker.hpp"
#include "messages/fnv1a.hpp"
#include "messages/worker_record.hpp"
#include "planner/policy/least_loaded.hpp"

namespace troupe {

namespace {

/// Worker ids of a node: the upper bits are its name's hash, so that they are the same in the node's next life; its
/// epochs begin at its start's time. Of a node that is alone: 1, 2, …
std::uint64_t first_id_of(const std::string& node) {
  return node.empty() ? 0 : hash_of_name(node) & ~std::uint64_t{0xffff};
}

/// How many workers of the section are actors of this process.
std::uint32_t local_count(const std::optional<worker_section>& section) {
  return section && section->isolation == isolation_kind::thread ? section->count : 0;
}

scheduler_config bounds_of(const worker_section& section) {
  scheduler_config result;
  result.chunk_tokens_max = section.chunk_tokens;
  result.step_tokens_max = section.batch_tokens;
  result.running_max = result.rows_max = section.running_max;
  result.queued_max = section.queued_max;
  return result;
}

child_spec endpoint_child(caf::actor_system& system, const node_parts& parts, std::vector<std::string> workers) {
  child_spec spec;
  spec.name = local_services::transport_endpoint;
  spec.start = [&system, make = parts.make_backend, poll = parts.poll]() -> caf::strong_actor_ptr {
    auto backend = make();
    if (!backend) {
      log_error("transport", "no back end: prompts are prefilled where they decode",
                {{"why", backend.error().context}});
      return nullptr;
    }
    transport_endpoint_config config{std::shared_ptr{std::move(*backend)}, poll};
    return caf::actor_cast<caf::strong_actor_ptr>(spawn_transport_endpoint(system, std::move(config)));
  };
  spec.started = [&system, workers = std::move(workers)](const caf::strong_actor_ptr& handle) {
    auto endpoint = caf::actor_cast<transport_endpoint_actor>(handle);
    for (auto& name : workers)
      if (auto worker = local_services::find<worker_actor>(system, name))
        caf::anon_send(worker, endpoint);
  };
  return spec;
}

template <class Spawn>
child_spec worker_child(caf::actor_system& system, const node_parts& parts, const node_config& config,
                        const worker_section& section, std::uint32_t role, std::uint32_t index, worker_id id,
                        std::shared_ptr<std::atomic<std::uint64_t>> epochs, Spawn spawn) {
  child_spec spec;
  spec.name = worker_name(role, index);
  spec.drain = child_spec::drain_rank::worker;
  worker_config made;
  made.id = id;
  made.model = parts.model;
  made.vocabulary = parts.vocabulary;
  made.limits = bounds_of(section);
  made.step_time_max = config.supervisor.step_timeout;
  made.landing_lease = config.kv.landing_lease;
  made.checksum_turn_bytes = parts.checksum_turn_bytes;
  made.make_executor = [make = parts.make_executor, section] { return make(section); };
  spec.start = [&system, made, epochs, spawn] {
    auto next = made;
    next.worker_epoch = epoch{++*epochs};
    auto endpoint = local_services::find<transport_endpoint_actor>(system, local_services::transport_endpoint);
    return caf::actor_cast<caf::strong_actor_ptr>(spawn(system, std::move(next), std::move(endpoint)));
  };
  return spec;
}

} // namespace

std::uint64_t hash_of_name(const std::string& name) { return fnv1a{}.add(name).value(); }

std::string worker_name(std::uint32_t role, std::uint32_t index) {
  return std::string{role == role_prefill ? "troupe.prefill-worker/" : "troupe.decode-worker/"}
         + std::to_string(index + 1);
}

std::vector<std::string> worker_names(const node_config& config) {
  std::vector<std::string> result;
  for (std::uint32_t i = 0; i < local_count(config.prefill_worker); ++i)
    result.push_back(worker_name(role_prefill, i));
  for (std::uint32_t i = 0; i < local_count(config.decode_worker); ++i)
    result.push_back(worker_name(role_decode, i));
  return result;
}

std::vector<child_spec> make_node_children(caf::actor_system& system, const node_config& config, node_parts parts) {
  std::vector<child_spec> result;
  result.push_back(endpoint_child(system, parts, worker_names(config)));

  directory_config directory;
  directory.stall_max = std::chrono::duration_cast<std::chrono::milliseconds>(config.supervisor.stall_timeout);
  directory.node = parts.identity.node;
  directory.life = parts.identity.life;
  directory.known_models = parts.known_models;
  directory.roles_needed =
    (config.prefill_worker ? role_prefill : 0u) | (config.decode_worker || config.http ? role_decode : 0u);
  result.push_back(
    {std::string{local_services::directory},
     [&system, directory] { return caf::actor_cast<caf::strong_actor_ptr>(spawn_directory(system, directory)); },
     {},
     child_spec::drain_rank::never});

  router_config router;
  router.policy = std::make_shared<planner::least_loaded>(config.router.disaggregate_over);
  result.push_back({std::string{local_services::router},
                    [&system, router] { return caf::actor_cast<caf::strong_actor_ptr>(spawn_router(system, router)); },
                    {},
                    child_spec::drain_rank::never});

  auto epochs = std::make_shared<std::atomic<std::uint64_t>>(parts.identity.life);
  auto id = first_id_of(parts.identity.node);
  for (std::uint32_t i = 0; i < local_count(config.prefill_worker); ++i)
    result.push_back(worker_child(system, parts, config, *config.prefill_worker, role_prefill, i, worker_id{++id},
                                  epochs, spawn_prefill_worker));
  for (std::uint32_t i = 0; i < local_count(config.decode_worker); ++i)
    result.push_back(worker_child(system, parts, config, *config.decode_worker, role_decode, i, worker_id{++id}, epochs,
                                  spawn_decode_worker));
  return result;
}

} // namespace troupe
