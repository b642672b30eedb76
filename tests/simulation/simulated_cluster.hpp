// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/simulation_plan.hpp"
#include "tests/support/history.hpp"

namespace troupe::test {

/// A cluster whose course a plan decides: the same plan gives the same course, message by message.
class simulated_cluster {
public:
  explicit simulated_cluster(simulation_plan);
  ~simulated_cluster();

  /// From the start of all nodes until every request has ended and the last fault is 15 s past.
  void run();

  const history& seen() const { return history_; }
  /// What is wrong with its course: of its history; requests that failed although somebody could serve them; and errors
  /// that are none of a client's business.
  std::vector<std::string> violations() const;
  /// Of everything that happened, in order: equal for equal courses.
  std::uint64_t course() const { return course_; }
  simulated_fabric& fabric() { return fabric_; }
  /// Requests whose stream ended with an error event.
  const std::map<std::uint64_t, errc>& failures() const { return failures_; }

private:
  /// One name in the cluster, over all its lives.
  struct member {
    std::vector<std::unique_ptr<simulated_node>> lives;
    simulated_node& now() { return *lives.back(); }
  };

  void start(std::size_t node);
  void run_until(virtual_instant);
  void run_actors();
  void plan_requests();
  void plan_faults();
  void strike(const planned_fault&);
  void kill(std::size_t node);
  void excuse_streams_of(std::size_t frontend, const std::string& why);
  void settle();
  void note_rest();
  void note(std::uint64_t what) { course_ = (course_ ^ what) * 0x100000001b3; }

  simulation_plan plan_;
  splitmix64 random_;
  timeline time_;
  network network_{time_, random_};
  simulated_fabric fabric_{time_, random_, network_};
  history history_;
  std::map<std::uint64_t, errc> failures_;
  std::map<std::uint64_t, std::size_t> frontend_of_;
  std::uint64_t course_ = 0xcbf29ce484222325;
  std::vector<member> members_;
};

/// Texts of the requests when nothing goes wrong and each runs alone.
std::vector<std::vector<token_id>> undisturbed_texts(const simulation_plan&);

} // namespace troupe::test
