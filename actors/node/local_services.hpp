// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include <caf/actor_cast.hpp>
#include <caf/actor_registry.hpp>
#include <caf/actor_system.hpp>

#include "messages/interfaces.hpp"

/// The singletons of a node, found by name in CAF's actor registry. A service's handle changes when
/// its supervisor restarts it, so it is looked up for each use and never kept.
namespace troupe::local_services {

inline constexpr std::string_view directory = "troupe.directory";
inline constexpr std::string_view node_links = "troupe.node-links";
inline constexpr std::string_view lease_keeper = "troupe.lease-keeper";
inline constexpr std::string_view router = "troupe.router";
inline constexpr std::string_view transport_endpoint = "troupe.transport-endpoint";
inline constexpr std::string_view admin_gateway = "troupe.admin-gateway";
inline constexpr std::string_view rest_gateway = "troupe.rest-gateway";

/// A null handle while the service is down.
template <class Handle>
Handle find(caf::actor_system& system, std::string_view name) {
  return caf::actor_cast<Handle>(system.registry().get(std::string{name}));
}

} // namespace troupe::local_services
