// SPDX-License-Identifier: Apache-2.0
#include "actors/config/write_config.hpp"

#include <doctest/doctest.h>

#include "actors/config/read_config.hpp"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

node_config read_again(const node_config& config) {
  auto read = read_config_text(write_config(config), "/nowhere/else/f.conf");
  if (!read)
    FAIL(to_string(read.error()));
  return *read;
}

} // namespace

TEST_CASE("what is written reads as the same configuration, with the same roles") {
  node_config least;
  least.model.path = "/models/m.gguf";
  least.decode_worker.emplace();
  least.http.emplace();
  CHECK(read_again(least) == least);

  node_config config = least;
  config.http.reset();
  config.model.path = "/models/a \"b\"\\c\n\t'd'/ü.gguf";
  config.model.name = "x # y, z = {1}";
  config.further_models = {{"/models/b.gguf", "b"}, {"/models/c.gguf", ""}};
  auto& cluster = config.cluster.emplace();
  cluster.name = "cluster_1";
  cluster.node = "a.decode-worker-1";
  cluster.listen = {"::1", 0};
  cluster.seeds = {{"127.0.0.1", 7400}, {"::1", 65535}};
  cluster.certificate = cluster.key = cluster.ca = "/c/a.pem";
  cluster.lease_folder = "/leases";
  auto& worker = config.prefill_worker.emplace();
  worker.count = 64;
  worker.isolation = isolation_kind::process;
  worker.queued_max = 0;
  config.kv.memory_bytes = mib(64) + 1;
  config.limits.request_timeout = 601s + 1ns;
  config.executor.kind = executor_kind::mock;
  config.executor.mock.step_base = 0s;
  config.executor.mock.fault = mock_section::fault_kind::device_lost;
  config.log.format = log_format::json;
  CHECK(read_again(config) == config);
}

TEST_CASE("isolation is an option of each worker role") {
  node_config config;
  CHECK_FALSE(has_isolated_workers(config));
  config.decode_worker.emplace();
  CHECK_FALSE(has_isolated_workers(config));
  config.prefill_worker.emplace().isolation = isolation_kind::process;
  CHECK(has_isolated_workers(config));
}
