// SPDX-License-Identifier: Apache-2.0
// A node of the next wire version: the real node plane and links, nothing behind them.
//   next_version_node serve SEED
// Prints "ready" once it listens; ends with SIGTERM.
#include <csignal>
#include <cstdio>

#include <caf/actor_system.hpp>
#include <caf/send.hpp>

#include "actors/log/log.hpp"
#include "actors/node/actor_types.hpp"
#include "actors/node/node_links.hpp"
#include "actors/node/node_plane.hpp"
#include "actors/node/node_system.hpp"

int main(int argc, char** argv) {
  using namespace troupe;
  auto seed = argc == 3 ? parse_listen_address(argv[2]) : std::nullopt;
  if (!seed)
    return 2;
  sigset_t asked_to_end;
  sigemptyset(&asked_to_end);
  sigaddset(&asked_to_end, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &asked_to_end, nullptr);
  init_actor_types();
  node_config config;
  config.cluster.emplace().name = "test";
  config.cluster->node = "next";
  config.cluster->listen = {"127.0.0.1", 0};
  const log_session log{{}};
  node_system_config cfg{config};
  caf::actor_system system{cfg};
  const node_plane plane{system, *config.cluster};
  node_links_config links;
  links.node = config.cluster->node;
  links.life = 1;
  links.cluster = config.cluster->name;
  links.wire = wire_version + 1;
  links.listen = config.cluster->listen;
  links.seeds = {*seed};
  links.middleman = [&plane] { return plane.connections(); };
  links.on_listening = [](std::uint16_t) {
    std::puts("ready");
    std::fflush(stdout);
  };
  auto actor = spawn_node_links(system, links);
  int signal = 0;
  sigwait(&asked_to_end, &signal);
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  return 0;
}
