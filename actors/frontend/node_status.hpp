// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "actors/frontend/http/http_exchange.hpp"
#include "messages/control/node_health.hpp"
#include "messages/errc.hpp"

namespace troupe {

/// Answers /live, /health and /metrics, as an object of an I/O thread: the gateway's and the admin listener's have one
/// each. Bounds: questions about health that are under way at a time.
class node_status {
public:
  struct callbacks {
    /// Ask whether the node is healthy; answer_health() is the answer.
    std::function<void(std::uint64_t question)> on_health;
    /// The text of /metrics.
    std::function<std::string()> metrics_text;
  };

  explicit node_status(callbacks c) : callbacks_(std::move(c)) {}

  // All on the I/O thread:
  static void answer_live(const std::shared_ptr<http_exchange>&);
  void answer_metrics(const std::shared_ptr<http_exchange>&) const;
  void ask_health(std::shared_ptr<http_exchange>);
  void answer_health(std::uint64_t question, const node_health&);
  /// From now on the node is not healthy, for this reason.
  void drain() { draining_ = true; }
  /// Ends the questions that are under way with the error.
  void stop(const error&);

private:
  callbacks callbacks_;
  std::unordered_map<std::uint64_t, std::shared_ptr<http_exchange>> health_questions_;
  std::uint64_t next_question_ = 1;
  bool draining_ = false;
};

} // namespace troupe
