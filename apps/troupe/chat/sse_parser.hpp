// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::chat {

struct sse_event {
  /// The `event` field; empty for the usual "message".
  std::string name;
  std::string data;

  friend bool operator==(const sse_event&, const sse_event&) = default;
};

/// Splits a stream of server-sent events, however its bytes are cut. Source: the HTML standard, "Interpreting
/// an event stream". `id` and `retry` are ignored: nothing here reconnects.
class sse_parser {
public:
  static constexpr std::size_t event_bytes_default = 1 << 20;

  explicit sse_parser(std::size_t event_bytes_max = event_bytes_default) : event_bytes_max_(event_bytes_max) {}

  /// The events that end within this piece. nullopt: an event is larger than the bound, and the parser
  /// is of no more use.
  std::optional<std::vector<sse_event>> feed(std::string_view piece);

private:
  void end_line(std::vector<sse_event>& events);

  std::size_t event_bytes_max_;
  std::string line_;
  /// The last byte was \r: a \n that follows belongs to it.
  bool after_return_ = false;
  bool first_line_ = true;
  bool has_data_ = false;
  sse_event event_;
};

} // namespace troupe::chat
