// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "messages/expected.hpp"

namespace troupe {

/// Why a request or a node operation did not succeed. The HTTP status of each is in
/// actors/frontend/http_status.hpp, the exit code in actors/node/exit_code.hpp.
enum class errc : std::uint8_t {
  /// No error.
  none = 0,
  /// A field or argument is malformed, out of range, or asks for something that is not offered.
  invalid_argument,
  /// No worker of this node or cluster serves the named model.
  model_not_found,
  /// Prompt and requested output do not fit the model's context length.
  context_too_long,
  /// The model has no chat template, or the template refused the conversation.
  no_chat_template,
  /// Every eligible worker is at its admission limit; try again later.
  overloaded = 5,
  /// The request's deadline passed.
  deadline_exceeded,
  /// The client went away or the request was cancelled.
  cancelled,
  /// The actor that owed an answer ended, and the request could not be continued elsewhere.
  worker_lost,
  /// The node is draining and takes no new requests.
  draining,
  /// No worker can take the request at the moment (none registered for a needed role).
  unavailable = 10,
  /// The device or its executor failed.
  device_failed,
  /// A transfer of KV blocks failed or was refused.
  transfer_failed,
  /// A message of an earlier epoch, or for a request that is no longer known.
  stale,
  /// The client reads slower than its stream's buffer allows.
  slow_reader,
  /// A configuration file or value is wrong.
  invalid_config = 15,
  /// A file, port, memory or other local resource could not be had.
  resource,
  /// A broken invariant.
  internal,
};

std::string to_string(errc);
/// The sentence above, for logs and responses.
std::string_view describe(errc);
bool from_integer(std::uint8_t, errc&);

template <class Inspector>
bool inspect(Inspector& f, errc& x) {
  auto get = [&x] { return static_cast<std::uint8_t>(x); };
  auto set = [&x](std::uint8_t value) { return from_integer(value, x); };
  return f.apply(get, set);
}

/// The usual failure of functions above the executor and the transports.
using error = failure<errc>;

/// unexpected{error{…}} in one word.
inline unexpected<error> fail(errc code, std::string context) { return {error{code, std::move(context)}}; }

} // namespace troupe
