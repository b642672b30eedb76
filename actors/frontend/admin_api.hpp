// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "actors/frontend/http/http_exchange.hpp"
#include "actors/frontend/node_status.hpp"

namespace troupe {

/// The endpoints of the admin listener, as an object of its I/O thread.
class admin_api {
public:
  struct callbacks {
    node_status::callbacks status;
    /// Somebody asked the node to end as it does after a signal. Called for each such request.
    std::function<void()> on_drain;
  };

  explicit admin_api(callbacks c) : status_(std::move(c.status)), on_drain_(std::move(c.on_drain)) {}

  void handle(std::shared_ptr<http_exchange>);
  node_status& status() { return status_; }

private:
  void drain(const std::shared_ptr<http_exchange>&);

  node_status status_;
  std::function<void()> on_drain_;
};

} // namespace troupe
