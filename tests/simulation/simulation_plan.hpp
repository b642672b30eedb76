// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "messages/request/inference_request.hpp"
#include "tests/simulation/simulated_node.hpp"

namespace troupe::test {

/// Something that goes wrong in a simulation.
struct planned_fault {
  enum class kind : std::uint8_t {
    /// kill -9, and a new process after `lasts`.
    kill,
    /// SIGSTOP, and SIGCONT after `lasts`.
    freeze,
    /// SIGTERM with a drain limit of `lasts`, and a new process when it has ended.
    drain,
    /// Nothing gets from node `node` to node `other` for `lasts`.
    cut_one_way,
    cut,
    /// An actor ends; `which` of the node's.
    actor,
    device,
    /// A worker's actor stops working for `lasts`, in a process that lives.
    hang,
    /// The hub of a frontend, and with it its clients' connections.
    hub,
  };
  kind what = kind::kill;
  std::chrono::milliseconds when{};
  std::chrono::milliseconds lasts{};
  std::size_t node = 0;
  std::size_t other = 0;
  std::uint32_t which = 0;
};

struct planned_request {
  std::chrono::milliseconds when{};
  std::size_t frontend = 0;
  inference_request request;
  /// Its client goes away; 0: it does not.
  std::chrono::milliseconds leaves_after{};
};

/// All that a seed decides before a simulation runs: the cluster, its load and what goes wrong.
struct simulation_plan {
  std::uint64_t seed = 0;
  std::vector<node_plan> nodes;
  std::vector<planned_request> requests;
  std::vector<planned_fault> faults;
  /// As in simulated_fabric.
  std::uint32_t flip_one_of = 0;
  std::uint32_t refuse_one_of = 0;
  std::uint32_t stall_one_of = 0;
  std::chrono::milliseconds stall_max{};
  /// One decode node is touched by no fault and has room: then every request of a frontend that lives must finish.
  bool has_refuge = false;
};

simulation_plan draw_plan(std::uint64_t seed);
/// For a reader: one line per node and fault.
std::string to_string(const simulation_plan&);

} // namespace troupe::test
