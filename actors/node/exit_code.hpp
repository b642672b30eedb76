// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace troupe {

/// How every command ends. Scripts and process managers rely on the numbers.
///
/// | code | meaning |
/// |---|---|
/// | 0 | done; a node that was asked to end and did |
/// | 1 | usage: an unknown option, a missing argument, an input that cannot be read as what it should be |
/// | 2 | config: the configuration is wrong; standard error has one line per fault |
/// | 3 | resource: a file, port or memory could not be had |
/// | 4 | peer: a server could not be reached, or answered with an error |
/// | 5 | internal: an actor failed too often, or an invariant broke |
/// | 6 | device: the device failed; a fresh process may succeed |
/// | 130 | a question was interrupted with Ctrl-C, as shells expect it |
enum class exit_code : int {
  ok = 0,
  usage = 1,
  config = 2,
  resource = 3,
  peer = 4,
  internal = 5,
  device = 6,
  interrupted = 130
};

} // namespace troupe
