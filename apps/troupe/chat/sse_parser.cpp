// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/chat/sse_parser.hpp"

#include <utility>

namespace troupe::chat {

std::optional<std::vector<sse_event>> sse_parser::feed(std::string_view piece) {
  std::vector<sse_event> events;
  for (char c : piece) {
    const bool second_half = after_return_ && c == '\n';
    after_return_ = c == '\r';
    if (second_half)
      continue;
    if (c == '\n' || c == '\r')
      end_line(events);
    else
      line_ += c;
    if (line_.size() + event_.data.size() + event_.name.size() > event_bytes_max_)
      return std::nullopt;
  }
  return events;
}

void sse_parser::end_line(std::vector<sse_event>& events) {
  std::string_view line = line_;
  if (std::exchange(first_line_, false) && line.starts_with("\xEF\xBB\xBF"))
    line.remove_prefix(3);
  if (line.empty()) { // the event ends; without data it is none
    if (std::exchange(has_data_, false))
      events.push_back(std::exchange(event_, {}));
    event_ = {};
  } else {
    const auto colon = line.find(':'); // at 0: a comment, whose name is empty
    const std::string_view name = line.substr(0, colon);
    std::string_view content = colon == std::string_view::npos ? "" : line.substr(colon + 1);
    if (content.starts_with(' '))
      content.remove_prefix(1);
    if (name == "data") {
      if (has_data_)
        event_.data += '\n';
      event_.data += content;
      has_data_ = true;
    } else if (name == "event") {
      event_.name = content;
    }
  }
  line_.clear();
}

} // namespace troupe::chat
