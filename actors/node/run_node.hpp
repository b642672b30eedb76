// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "actors/config/node_config.hpp"

namespace troupe {

/// A node that has started all of its roles.
struct running_node {
  /// "http://127.0.0.1:8000", with the port that it really has; empty if it runs no gateway.
  std::string url;
  /// "127.0.0.1:7400", where other nodes find this one; empty if it is alone, or with its child processes.
  std::string node_plane;
  /// "http://127.0.0.1:8001", the admin listener; empty if there is none.
  std::string admin_url;
  std::string model_name;
  /// Becomes readable when the node has given up (an actor failed too often, the device is lost), or was asked by its
  /// admin listener to end.
  int ended_fd = -1;
};

/// Called on run_node's thread once the node is ready. The node runs until it returns: it waits for
/// signals, or talks to the user. Returns an exit code, see actors/node/exit_code.hpp; that of a node that has given up
/// is run_node's to find.
using node_ready_callback = std::function<int(const running_node&)>;

/// Starts a node, calls `ready`, then drains (up to supervisor.drain-timeout) and ends it. Returns what
/// `ready` returned; or the exit code of what failed: 3 if a file, port or memory could not be had, 5 if the
/// supervisor gave up, 6 if the device was lost. Then `ready` may not have been called, and the reason is
/// logged. If its actors do not come down within a few seconds, one of them in a system call that hangs, the process
/// ends without them, with that code. Installs no signal handlers: they are the caller's, who may give a descriptor
/// (else -1) that is readable once the node is to end: that is looked at until the node is ready, or ends before that
/// with code 0.
int run_node(const node_config&, const node_ready_callback& ready, int end_asked_fd);

} // namespace troupe
