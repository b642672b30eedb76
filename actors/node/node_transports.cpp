// SPDX-License-Identifier: Apache-2.0
#include "actors/node/node_transports.hpp"

#include <string>
#include <utility>
#include <vector>

#include "actors/log/log.hpp"
#include "transport/joined/joined_backend.hpp"
#include "transport/memory/memory_backend.hpp"
#include "transport/random_peer.hpp"
#include "transport/shared_memory/shared_memory_backend.hpp"
#include "transport/tcp/tcp_backend.hpp"

namespace troupe {

namespace {

using backends = std::vector<std::unique_ptr<transport::backend>>;

/// A node can do without one way to others as long as there is another.
template <class Made>
void add_if_made(backends& to, Made made, const char* name) {
  if (made)
    to.push_back(std::move(*made));
  else
    log_warning("transport", "a back end cannot be had", {{"name", name}, {"why", made.error().context}});
}

} // namespace

std::function<expected<std::unique_ptr<transport::backend>, transport::error>()>
transports_of(const node_config& config) {
  return [fabric = std::make_shared<transport::memory_fabric>(),
          cluster = config.cluster]() -> expected<std::unique_ptr<transport::backend>, transport::error> {
    auto self = transport::random_peer_id();
    if (!self)
      return unexpected{self.error()};
    auto memory = transport::memory_backend::make(fabric, *self);
    if (!memory)
      return unexpected{memory.error()};
    if (!cluster)
      return std::unique_ptr<transport::backend>{std::move(*memory)};
    backends all;
    all.push_back(std::move(*memory));
    add_if_made(all, transport::shared_memory_backend::make(*self), "shared memory");
    transport::tcp_config tcp;
    // Its connections carry no keys yet, so it stays on loopback wherever the node plane listens.
    if (cluster->listen.host.starts_with("127."))
      tcp.host = cluster->listen.host;
    add_if_made(all, transport::tcp_backend::make(*self, tcp), "tcp");
    auto joined = transport::joined_backend::make(std::move(all));
    if (!joined)
      return unexpected{joined.error()};
    return std::unique_ptr<transport::backend>{std::move(*joined)};
  };
}

} // namespace troupe
