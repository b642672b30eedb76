// SPDX-License-Identifier: Apache-2.0
#include "actors/node/isolated_workers.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "actors/config/validate.hpp"
#include "messages/worker_record.hpp"

using namespace troupe;

namespace {

node_config parent() {
  node_config config;
  config.model.path = "/models/m.gguf";
  config.http.emplace();
  config.cluster.emplace().certificate = "/c/a.pem";
  config.cluster->key = "/c/a.key";
  config.cluster->ca = "/c/ca.pem";
  config.cluster->lease_folder = "/leases";
  config.cluster->seeds = {{"127.0.0.1", 7400}};
  config.prefill_worker.emplace().count = 3;
  config.decode_worker.emplace().count = 2;
  config.decode_worker->isolation = isolation_kind::process;
  config.decode_worker->queued_max = 7;
  return config;
}

std::string name_of(const std::string& parent_node, std::uint32_t index) {
  return isolated_worker_config(parent(), parent_node, role_decode, index, {"127.0.0.1", 9}).cluster->node;
}

} // namespace

TEST_CASE("an isolated worker is a node of its parent's cluster with one role and one worker") {
  const auto given = parent();
  const auto child = isolated_worker_config(given, "a", role_decode, 1, {"127.0.0.1", 4321});
  CHECK_FALSE(child.http);
  CHECK_FALSE(child.prefill_worker);
  REQUIRE(child.decode_worker);
  auto worker = *given.decode_worker;
  worker.count = 1;
  worker.isolation = isolation_kind::thread;
  CHECK(*child.decode_worker == worker);
  auto cluster = *given.cluster;
  cluster.node = "a.decode-worker-2";
  cluster.listen.port = 0;
  cluster.seeds = {{"127.0.0.1", 4321}};
  cluster.lease_folder.clear();
  CHECK(*child.cluster == cluster);
  CHECK(child.supervisor.restarts_max == 0);
  CHECK(validate(child).empty());
  CHECK(isolated_worker_config(given, "a", role_prefill, 0, {"127.0.0.1", 1}).cluster->node == "a.prefill-worker-1");
}

TEST_CASE("names of isolated workers are names, and differ where their parents or places do") {
  CHECK(name_of("127.0.0.1:7400", 0) == "127.0.0.1-7400.decode-worker-1");
  CHECK(name_of("[::1]:7400", 0) == "---1--7400.decode-worker-1");
  std::set<std::string> names;
  std::string almost(63, 'a');
  almost.back() = 'b';
  const std::vector<std::string> parents{std::string(63, 'a'), almost, std::string(47, 'a'), "a"};
  for (auto& node : parents)
    for (std::uint32_t index : {0u, 1u, 63u}) {
      auto config = parent();
      config.cluster->node = name_of(node, index);
      CHECK(config.cluster->node.size() <= 63);
      CHECK(validate(config).empty());
      CHECK(names.insert(config.cluster->node).second);
    }
}

TEST_CASE("a private cluster is valid, stays on loopback, and is another one each time") {
  auto config = parent();
  config.cluster = make_private_cluster();
  CHECK(validate(config).empty());
  CHECK(config.cluster->name.size() <= 63);
  CHECK(is_loopback(config.cluster->listen));
  CHECK(config.cluster->name != make_private_cluster().name);
}
