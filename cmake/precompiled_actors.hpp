// SPDX-License-Identifier: Apache-2.0
// Parsed once for every target with actors in it.
#pragma once

#include "cmake/precompiled.hpp"
#include "messages/interfaces.hpp"

#include <caf/actor_registry.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
