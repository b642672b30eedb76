// SPDX-License-Identifier: Apache-2.0
#include "actors/node/isolated_workers.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "actors/config/write_config.hpp"
#include "actors/node/child_process.hpp"
#include "actors/node/exit_code.hpp"
#include "actors/node/node_children.hpp"
#include "messages/worker_record.hpp"

namespace troupe {

namespace {

/// What a node's name may have: see cluster.node.
constexpr std::size_t node_name_max = 63;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

/// "a.decode-worker-1": the same in every life. A parent without a name is called by its address.
std::string node_name(std::string parent, std::uint32_t role, std::uint32_t index) {
  std::ranges::replace_if(parent, [](char c) { return !is_name_character(c); }, '-');
  auto own = fmt::format(".{}-worker-{}", role == role_prefill ? "prefill" : "decode", index + 1);
  if (parent.size() + own.size() <= node_name_max)
    return parent + own;
  auto mark = fmt::format("-{:08x}", static_cast<std::uint32_t>(hash_of_name(parent)));
  return parent.substr(0, node_name_max - own.size() - mark.size()) + mark + own;
}

child_spec isolated_worker(caf::actor_system& system, const node_config& config, const node_identity& identity,
                           std::uint32_t role, std::uint32_t index, const std::atomic<std::uint16_t>& plane_port) {
  child_process_config child;
  child.name = worker_name(role, index);
  child.device_lost_code = static_cast<int>(exit_code::device);
  child.arguments = {"troupe", "isolated-worker", node_name(identity.node, role, index)};
  child.make_text = [config, node = identity.node, role, index, &plane_port]() -> std::optional<std::string> {
    std::uint16_t port = plane_port;
    if (port == 0)
      return std::nullopt;
    return write_config(isolated_worker_config(config, node, role, index, {config.cluster->listen.host, port}));
  };
  child_spec spec;
  spec.name = child.name;
  spec.drain = child_spec::drain_rank::worker;
  spec.start = [&system, child] { return caf::actor_cast<caf::strong_actor_ptr>(spawn_child_process(system, child)); };
  return spec;
}

} // namespace

cluster_section make_private_cluster() {
  std::random_device random;
  cluster_section result;
  result.name = "private";
  for (int i = 0; i < 4; ++i)
    result.name += fmt::format("-{:08x}", random());
  result.node = "node";
  result.listen.port = 0;
  return result;
}

node_config isolated_worker_config(const node_config& parent, const std::string& parent_node, std::uint32_t role,
                                   std::uint32_t index, const listen_address& plane) {
  node_config result = parent;
  result.http.reset();
  result.further_models.clear();
  if (result.admin)
    result.admin->listen.port = 0;
  result.prefill_worker.reset();
  result.decode_worker.reset();
  auto& section = role == role_prefill ? result.prefill_worker : result.decode_worker;
  section = role == role_prefill ? parent.prefill_worker : parent.decode_worker;
  section->count = 1;
  section->isolation = isolation_kind::thread;
  result.cluster->node = node_name(parent_node, role, index);
  result.cluster->listen.port = 0;
  result.cluster->seeds = {plane};
  result.cluster->lease_folder.clear(); // the parent is found by it, and tells of its children
  result.supervisor.restarts_max = 0;
  return result;
}

std::vector<child_spec> make_isolated_workers(caf::actor_system& system, const node_config& config,
                                              const node_identity& identity,
                                              const std::atomic<std::uint16_t>& plane_port) {
  std::vector<child_spec> result;
  auto add = [&](const std::optional<worker_section>& section, std::uint32_t role) {
    if (section && section->isolation == isolation_kind::process)
      for (std::uint32_t i = 0; i < section->count; ++i)
        result.push_back(isolated_worker(system, config, identity, role, i, plane_port));
  };
  add(config.prefill_worker, role_prefill);
  add(config.decode_worker, role_decode);
  return result;
}

} // namespace troupe
