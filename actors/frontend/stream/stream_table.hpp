// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "actors/frontend/frontend_metrics.hpp"
#include "actors/frontend/stream/client_stream.hpp"

namespace troupe {

/// The open streams of one I/O thread, found by the request id of each of their choices. Every stream
/// leaves the table when it ends, whichever way. I/O thread only.
class stream_table {
public:
  struct callbacks {
    /// These choices need no more tokens: the client is gone, reads too slowly, or a stop string ended
    /// the text. Called for choices that the hub still feeds.
    std::function<void(std::vector<request_id>)> on_unwanted;
    /// A stream left the table.
    std::function<void()> on_ended;
  };

  /// A stream may have this much waiting for its reader.
  static constexpr std::size_t queued_bytes_max = 64 * 1024;

  stream_table(frontend_metrics metrics, callbacks);

  void open(std::shared_ptr<client_stream>);
  std::size_t streams() const { return streams_; }

  /// Tokens of any streams. Unknown requests are passed over.
  void deliver(const std::vector<stream_tokens>&);
  /// The choice cannot go on: its whole stream ends with the error.
  void fail(request_id, const error&);
  void fail_all(const error&);

private:
  struct entry {
    std::shared_ptr<client_stream> stream;
    std::size_t choice;
  };

  void observe(const client_stream&, std::size_t choice, const stream_tokens&, client_stream::clock::time_point);
  /// After the flush of a streamed answer.
  void observe_flushed(const client_stream&, const stream_tokens&);
  /// Takes the ended stream out; choices that were still in the table are unwanted from now on.
  void remove(const std::shared_ptr<client_stream>&);

  frontend_metrics metrics_;
  callbacks callbacks_;
  std::unordered_map<request_id, entry> entries_;
  std::size_t streams_ = 0;
};

} // namespace troupe
