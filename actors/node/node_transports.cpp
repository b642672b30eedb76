// SPDX-License-Identifier: Apache-2.0
#include "actors/node/node_transports.hpp"

#include <sys/socket.h>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "actors/log/log.hpp"
#include "actors/security/strangers.hpp"
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

void log_refusal(std::string_view from, std::string_view why) {
  log_stranger("transport", "a connection was refused", from, why);
}

/// Who is at the other end of a socket of this machine: its program's name, as the same one may try with ever new ids.
std::string process_behind(int fd) {
  ucred other{};
  socklen_t bytes = sizeof other;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &other, &bytes) != 0)
    return "unknown";
  std::string name;
  std::getline(std::ifstream{fmt::format("/proc/{}/comm", other.pid)}, name);
  return fmt::format("{} of user {}", name.empty() ? "a process" : name, other.uid);
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
    transport::shared_memory_config shared_memory;
    shared_memory.on_stranger = [](int fd, std::string_view why) { log_refusal(process_behind(fd), why); };
    add_if_made(all, transport::shared_memory_backend::make(*self, shared_memory), "shared memory");
    transport::tcp_config tcp;
    tcp.on_stranger = [](int fd, std::string_view why) { log_refusal(address_behind(fd), why); };
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
