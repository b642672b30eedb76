// SPDX-License-Identifier: Apache-2.0
#include "actors/node/node_system.hpp"

#include <chrono>
#include <mutex>
#include <random>
#include <vector>

#include <caf/io/middleman.hpp>
#include <caf/openssl/manager.hpp>
#include <fmt/format.h>

#include "actors/security/certificates.hpp"
#include "actors/security/tls_watch.hpp"

namespace troupe {

namespace {

// The same on all nodes: where they differ, the side with the shorter time cuts healthy links.
constexpr caf::timespan heartbeat_interval = std::chrono::milliseconds{500};
constexpr caf::timespan connection_timeout = std::chrono::seconds{2};

} // namespace

node_identity make_node_identity(const cluster_section& cluster) {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  node_identity result;
  result.life = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
  result.node = !cluster.node.empty()      ? cluster.node
                : cluster.listen.port != 0 ? to_string(cluster.listen)
                                           : fmt::format("node-{:08x}", std::random_device{}());
  return result;
}

expected<void, error> check_cluster_files(const cluster_section& cluster) {
  if (!cluster.encrypted())
    return {};
  return check_certificate_files({cluster.certificate, cluster.key, cluster.ca});
}

node_system_config::node_system_config(const node_config& config) {
  set("caf.scheduler.policy", "sharing");
  set("caf.scheduler.max-threads", 2);
  set("caf.logger.console.verbosity", "quiet");
  set("caf.logger.file.verbosity", "quiet");
  if (!config.cluster)
    return;
  static std::once_flag once;
  std::call_once(once, [] {
    caf::io::middleman::init_global_meta_objects();
    caf::openssl::manager::init_global_meta_objects();
  });
  load<caf::io::middleman>();
  if (config.cluster->encrypted()) {
    watch_tls_connections();
    load<caf::openssl::manager>();
    set("caf.openssl.certificate", config.cluster->certificate.string());
    set("caf.openssl.key", config.cluster->key.string());
    set("caf.openssl.cafile", config.cluster->ca.string());
  }
  set("caf.middleman.heartbeat-interval", heartbeat_interval);
  set("caf.middleman.connection-timeout", connection_timeout);
  // Cluster and wire version are in node_hello, so that both sides can say why they do not agree.
  set("caf.middleman.app-identifiers", std::vector<std::string>{"troupe"});
}

} // namespace troupe
